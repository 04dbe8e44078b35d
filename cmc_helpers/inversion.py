"""Magnitude spectrogram → waveform: the missing phase is found again (paper, section 2.4.3).

`invert_features` is the way back from features to sound. The methods share one signature,
magnitudes (T, 257) → waveform (64 (T − 1) + 256,), and are chosen by name from `METHODS`.
"""

import numpy as np

from cmc_helpers.features import features_to_magnitudes, unweight


def invert_features(features, config, method="griffin-lim", **options):
    """Features (T, 100) → waveform (samples,) at `config.sample_rate`, A-weighting undone.

    method: a name in `METHODS`; options go to it (`iterations=…`). Raises ValueError for features
    of another width, for NaN or infinite values, and for an unknown method.
    """
    features = np.asarray(features, dtype=np.float64)
    if features.ndim != 2 or features.shape[1] != 100 or len(features) == 0:
        raise ValueError(f"features have the shape (frames, 100), not {features.shape}")
    if not np.isfinite(features).all():
        raise ValueError("the features hold NaN or infinite values: no sound can be made of them")
    if method not in METHODS:
        raise ValueError(f"there is no method {method!r}; choose one of {', '.join(METHODS)}")
    magnitudes = features_to_magnitudes(features, config)
    return unweight(METHODS[method](magnitudes, config, **options), config)


def griffin_lim(magnitudes, config, iterations=32, momentum=0.99, start=None):
    """Keep the magnitudes, take the phase of the nearest real signal, repeat.

    magnitudes: (T, 257), ≥ 0. momentum: 0 is Griffin and Lim (1984), 0.99 the fast variant of
    Perraudin, Balazs and Søndergaard (2013), as in `librosa.griffinlim`. start: a waveform whose
    phase begins the search; without it, every phase is zero. Returns the waveform.
    """
    magnitudes = np.asarray(magnitudes, np.float64)
    spectra = magnitudes.astype(complex)
    if start is not None:
        spectra = magnitudes * _phase(_stft(start, config))
    previous = 0.0
    for _ in range(iterations):
        projected = _stft(_istft(spectra, config), config)
        accelerated = projected - momentum / (1 + momentum) * previous
        spectra = magnitudes * _phase(accelerated)
        previous = projected
    return _istft(spectra, config)


def slaney(magnitudes, config, iterations=40):
    """The paper's method: zero-phase frames slid into place, then plain Griffin-Lim.

    Each frame becomes a zero-phase pulse; before it is added, it is shifted by the delay at which
    it correlates best with what has been summed so far (Slaney, Naar and Lyon, ICASSP 1994).
    """
    return griffin_lim(magnitudes, config, iterations, 0.0, time_delay_start(magnitudes, config))


def time_delay_start(magnitudes, config):
    """The first waveform of `slaney`: overlap-add of frames at their best delays."""
    window, hop = config.window, config.hop
    overlap, middle = window - hop, config.fft // 2 - window // 2
    pulses = np.fft.fftshift(np.fft.irfft(magnitudes, config.fft), axes=1)
    waveform = np.zeros(window + hop * (len(magnitudes) - 1))
    weights = np.zeros_like(waveform)
    for t, pulse in enumerate(pulses):
        here = slice(t * hop, t * hop + window)
        summed = waveform[here][:overlap]
        reach = slice(middle - overlap // 2, middle + overlap + overlap // 2)
        likeness = np.correlate(pulse[reach], summed, mode="valid")  # one value per delay
        # Without a predecessor, or where all is silent, every delay is as good: stay in place.
        delay = np.argmax(likeness) - overlap // 2 if likeness.any() else 0
        waveform[here] += pulse[middle + delay : middle + delay + window]
        weights[here] += np.hamming(window)
    return waveform / weights


def spectral_convergence(reference, estimate):
    """‖|estimate| − reference‖ / ‖reference‖ in dB: lower is better, −20 dB is 10 % off.

    Both (T, bins) magnitudes; frames beyond the shorter one are left out.
    """
    frames = min(len(reference), len(estimate))
    reference, estimate = np.abs(reference[:frames]), np.abs(estimate[:frames])
    error, scale = np.linalg.norm(estimate - reference), np.linalg.norm(reference)
    return float(20 * np.log10(max(error, np.finfo(float).tiny) / scale))


METHODS = {"griffin-lim": griffin_lim, "slaney": slaney}


def _phase(spectra):
    magnitudes = np.abs(spectra)
    return np.divide(spectra, magnitudes, out=np.zeros_like(spectra), where=magnitudes > 1e-300)


# librosa centres a 256-sample window inside its 512 points; 128 samples of padding on both sides
# make its frame t cover the same samples as ours: 64 t to 64 t + 255.
def _stft(waveform, config):
    import librosa

    margin = (config.fft - config.window) // 2
    return librosa.stft(np.pad(waveform, margin), **_framing(config)).T


def _istft(spectra, config):
    import librosa

    margin = (config.fft - config.window) // 2
    return librosa.istft(spectra.T, **_framing(config))[margin:-margin]


def _framing(config):
    return dict(
        n_fft=config.fft,
        hop_length=config.hop,
        win_length=config.window,
        window=np.hamming(config.window),
        center=False,
    )
