"""Magnitudes → waveform, against librosa, Griffin and Lim's theorem, and sounds that are known."""

import inspect
import itertools
import re

import librosa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from cmc_helpers import inversion
from cmc_helpers.audio import read_audio
from cmc_helpers.corpora import sample_path
from cmc_helpers.features import (
    GROUP_WIDTHS,
    STFT,
    FeatureConfig,
    extract_features,
    magnitude_spectrogram,
    reduce_magnitudes,
    weight,
)
from cmc_helpers.inversion import (
    EXPANSIONS,
    METHODS,
    alternating_reflections,
    expand,
    fade,
    griffin_lim,
    invert_bands,
    invert_features,
    invert_magnitudes,
    iterates,
    match_groups,
    overlap_add,
    phase_gradient_heap_integration,
    random_phase,
    spectral_convergence,
    spsi,
    starts,
    stft,
    time_delay_start,
    transform,
)

CONFIG = FeatureConfig()
SECOND = np.arange(8000) / 8000


def tone(frequency):
    return np.sin(2 * np.pi * frequency * SECOND)


def chords():
    """Three notes with seven decaying partials, entering one after the other; whole frames."""
    x = np.zeros(8000)
    for onset, f in [(0, 220.0), (0.3, 277.18), (0.6, 329.63)]:
        t = np.maximum(SECOND - onset, 0)
        x += sum(np.exp(-2 * t) * np.sin(2 * np.pi * f * h * t) / h for h in range(1, 8))
    return 0.2 * x[: 64 * 120 + 256]


def drum(seed):
    """Kick, snare and hi-hat, struck together after a tenth of a second, and weighted."""
    noise = np.random.default_rng(seed).normal(size=64 * 60 + 256)
    t = np.arange(len(noise)) / 8000 - 0.1
    kick = np.sin(2 * np.pi * (50 * t + 4 * (1 - np.exp(-25 * t)))) * np.exp(-12 * t)
    snare = 0.4 * noise * np.exp(-20 * t) + 0.3 * np.sin(2 * np.pi * 190 * t) * np.exp(-25 * t)
    hat = 0.15 * np.diff(noise, prepend=0) * np.exp(-60 * t)
    return weight(np.where(t < 0, 0, kick + snare + hat), CONFIG)


def opening():
    """The clip of notebook 08, weighted."""
    prelude = read_audio(sample_path("bach_prelude.flac"))
    return weight(prelude[8000 : 8000 + 64 * 300 + 256], CONFIG)


def magnitudes_of(x):
    return magnitude_spectrogram(x, CONFIG)


def loss(magnitudes, x):
    return spectral_convergence(magnitudes, magnitudes_of(x))


def loudest_frequency(x):
    x = x[1000:-1000]
    spectrum = np.abs(np.fft.rfft(x * np.hanning(len(x)), 2**18))
    return np.argmax(spectrum) * 8000 / 2**18


def after(iterations, waveforms):
    return next(itertools.islice(waveforms, iterations, None))


def noise(frames, seed=0):
    return np.random.default_rng(seed).normal(size=64 * (frames - 1) + 256)


@pytest.mark.slow
@pytest.mark.parametrize("precision", [np.float32, np.float64])
def test_the_stft_has_the_magnitudes_of_the_features_and_the_phase_of_librosa(precision):
    x = noise(600).astype(precision)
    spectra = stft(x, CONFIG)
    assert spectra.dtype == np.result_type(precision, 1j)
    settings = dict(n_fft=512, hop_length=64, win_length=256, window=np.hamming(256), center=False)
    wanted = librosa.stft(np.pad(x.astype(float), 128), **settings).T
    # librosa's frame begins 128 samples before the window does.
    wanted = wanted * np.exp(-2j * np.pi * np.arange(257) * -128 / 512)
    tolerance = 1e-4 if precision is np.float32 else 1e-10
    np.testing.assert_allclose(spectra, wanted, atol=tolerance)
    np.testing.assert_allclose(np.abs(spectra), magnitudes_of(x), atol=tolerance)
    np.testing.assert_allclose(overlap_add(spectra, CONFIG), x, atol=2e-5)


def test_the_waveform_is_the_nearest_by_least_squares():
    """Overlap-add against the pseudo-inverse of the STFT, bins between 0 and 4 kHz twice."""
    frames, samples = 3, 64 * 2 + 256
    rng = np.random.default_rng(0)
    spectra = rng.normal(size=(frames, 257)) + 1j * rng.normal(size=(frames, 257))
    spectra[:, [0, 256]] = spectra[:, [0, 256]].real
    twice = np.sqrt(np.repeat([1, 2, 1], [1, 255, 1]))

    def as_numbers(z):
        return np.concatenate([(z.real * twice).ravel(), (z.imag * twice).ravel()])

    matrix = np.array([as_numbers(stft(e, CONFIG)) for e in np.eye(samples)]).T
    wanted = np.linalg.lstsq(matrix, as_numbers(spectra))[0]
    np.testing.assert_allclose(overlap_add(spectra, CONFIG), wanted, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("momentum", [0, 0.99])
@pytest.mark.parametrize("iterations", [0, 1, 2, 8, 32])
def test_griffin_lim_is_librosas_sample_by_sample(momentum, iterations):
    magnitudes = magnitudes_of(np.random.default_rng(0).normal(size=3000))
    wanted = librosa.griffinlim(
        magnitudes.T,
        n_iter=iterations,
        hop_length=64,
        win_length=256,
        n_fft=512,
        window=np.hamming(256),
        center=False,
        momentum=momentum,
        init=None,
    )[128:-128]
    delay = np.exp(-2j * np.pi * np.arange(257) * 128 / 512)  # librosa's zero phase, at our origin
    start = overlap_add(magnitudes / delay, CONFIG)
    x = after(iterations, griffin_lim(start, magnitudes, CONFIG, momentum))
    assert x.shape == wanted.shape
    # Single precision, and the search magnifies it a little in each iteration.
    assert np.linalg.norm(x - wanted) < 2e-5 * (1 + iterations) * np.linalg.norm(wanted)


@pytest.mark.slow
@settings(derandomize=True, deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_without_momentum_more_iterations_are_never_worse(seed, frames):
    """The theorem of Griffin and Lim (1984), for any magnitudes. It holds for the norm over all 512
    bins, in which those between 0 and 4 kHz count twice."""
    magnitudes = np.random.default_rng(seed).exponential(size=(frames, 257))
    twice = np.sqrt(np.repeat([1, 2, 1], [1, 255, 1]))
    signals = itertools.islice(iterates(magnitudes, CONFIG, "griffin-lim"), 8)
    distances = [np.linalg.norm((magnitudes_of(x) - magnitudes) * twice) for x in signals]
    assert (np.diff(distances) <= 1e-6 * distances[0]).all()


@pytest.mark.parametrize("momentum", [0, 0.99])
@pytest.mark.parametrize("iterations", [0, 5])
def test_what_is_right_already_stays(momentum, iterations):
    x = noise(600)  # more than two blocks
    for wanted in (magnitudes_of(x), reduce_magnitudes(magnitudes_of(x))):
        for search in (
            griffin_lim(x, wanted, CONFIG, momentum),
            alternating_reflections(x, wanted, CONFIG),
        ):
            again = after(iterations, search)
            assert np.abs(again - x)[FEET].max() < 1e-5
            np.testing.assert_allclose(again, x, atol=1e-3)


@pytest.mark.parametrize("iterations", [0, 1, 2, 8])
def test_reflections_are_those_of_the_textbook(iterations):
    """β/2 (R_C R_A + 1) x + (1 − β) P_A x with R = 2P − 1, in double precision and all at once."""
    rng = np.random.default_rng(0)
    start, magnitudes = rng.normal(size=64 * 39 + 256), rng.exponential(size=(40, 257))

    def onto_magnitudes(x):
        return magnitudes * x / np.abs(x)

    def onto_transforms(x):
        return stft(overlap_add(x, CONFIG).astype(float), CONFIG)

    x, wanted, beta = stft(start, CONFIG), start, inversion.search.BETA
    for _ in range(iterations):
        reflected = 2 * onto_magnitudes(x) - x
        wanted = overlap_add(reflected, CONFIG)
        twice = 2 * onto_transforms(reflected) - reflected
        x = beta / 2 * (twice + x) + (1 - beta) * onto_magnitudes(x)
    found = after(iterations, alternating_reflections(start, magnitudes, CONFIG))
    np.testing.assert_allclose(found, wanted, atol=1e-3 * np.abs(wanted).max())


@pytest.mark.slow
def test_reflections_leave_dead_ends_of_griffin_lim():
    """Not every one: of so many drums, struck anew each time, the mean and the worst are better."""
    errors = []
    for seed in range(24):
        magnitudes = magnitudes_of(drum(seed))
        sounds = [invert_magnitudes(magnitudes, CONFIG, reflections=r) for r in (0, 40)]
        errors.append([loss(magnitudes, x) for x in sounds])
    (plain, reflected), (worst, better) = np.mean(errors, 0), np.max(errors, 0)
    assert reflected < plain - 1 and better < worst - 4, (plain, reflected, worst, better)


FEET = slice(64, -64)  # one window alone covers the ends, and its foot magnifies rounding


def test_blocks_leave_no_seams(monkeypatch):
    magnitudes = magnitudes_of(noise(70))
    few = dict(iterations=5, reflections=3)
    whole = invert_magnitudes(magnitudes, CONFIG, "griffin-lim", **few)
    monkeypatch.setattr(transform, "BLOCK", 16)
    np.testing.assert_allclose(
        invert_magnitudes(magnitudes, CONFIG, "griffin-lim", **few), whole, atol=1e-4
    )


def in_pieces(monkeypatch, method, frames, known, piece, **changes):
    """Magnitudes of so many frames searched as a whole, and by `piece` frames at once."""
    magnitudes = magnitude_spectrogram(np.resize(chords(), 64 * frames + 192), CONFIG)
    wanted, settings = known(magnitudes), inversion._settings(method, changes)
    whole = after(settings.iterations, iterates(wanted, CONFIG, method, **changes))
    monkeypatch.setattr(inversion, "PIECE", piece)
    goal = inversion._goal(wanted, settings, inversion.search.reduction_of(wanted, CONFIG))
    return inversion._found(goal, CONFIG, settings), whole


@pytest.mark.slow
@pytest.mark.parametrize("frames", [65, 75, 190])
@pytest.mark.parametrize("method", ["pghi-fast-griffin-lim", "fast-griffin-lim", "pghi"])
@pytest.mark.parametrize("known", [np.asarray, reduce_magnitudes])
def test_a_long_sound_is_found_in_pieces_bit_by_bit_as_if_it_were_one(
    monkeypatch, method, frames, known
):
    monkeypatch.setattr(transform, "BLOCK", 32)
    few = {} if method == "pghi" else dict(iterations=20, reflections=8)
    found, whole = in_pieces(monkeypatch, method, frames, known, 64, **few)
    np.testing.assert_array_equal(found, whole)


@pytest.mark.slow
def test_so_it_is_with_the_iterations_and_the_blocks_that_are_usual(monkeypatch):
    method = "pghi-fast-griffin-lim"
    found, whole = in_pieces(monkeypatch, method, 1030, reduce_magnitudes, 512)
    np.testing.assert_array_equal(found, whole)


def test_undoing_the_a_curve_in_pieces_is_heard_by_nobody(monkeypatch):
    waveform = np.random.default_rng(0).standard_normal(64 * 2000 + 192)
    whole = inversion._unweighted(waveform, CONFIG)
    monkeypatch.setattr(inversion, "PIECE", 512)
    difference = inversion._unweighted(waveform, CONFIG) - whole
    assert difference.any()
    assert np.linalg.norm(difference) < 1e-4 * np.linalg.norm(whole)


@pytest.mark.slow
def test_segments_of_the_phase_integral_fit_together(monkeypatch):
    """A tone's phase runs on through the border of two segments."""
    magnitudes = magnitudes_of(tone(443.7))
    whole = loss(magnitudes, phase_gradient_heap_integration(magnitudes, CONFIG))
    monkeypatch.setattr(starts, "SEGMENT", 40)
    assert loss(magnitudes, phase_gradient_heap_integration(magnitudes, CONFIG)) < whole + 1


def test_islands_in_silence_are_integrated_too():
    """Of two tones with silence between them, the softer is reached by no path from the louder."""
    parts = [
        magnitudes_of(tone(f)[: 64 * 40 + 256] * level) for f, level in ((443.7, 1), (700, 0.1))
    ]
    gap = np.zeros((10, 257))
    x = phase_gradient_heap_integration(np.concatenate([parts[0], gap, parts[1]]), CONFIG)
    for part, first in zip(parts, (0, 51), strict=True):
        assert loss(part, x[64 * first : 64 * (first + 40) + 256]) < -20


@pytest.mark.parametrize("config, first", [(CONFIG, 0), (STFT(shape="hann", periodic=True), 1)])
def test_phases_count_from_the_middle_of_the_window(config, first):
    """Of a periodic window, too, which is symmetric from its second sample on."""
    bell = np.exp(-((np.arange(257) - 60.0) ** 2) / 200)[None]
    frame = np.fft.irfft(starts._from_the_middle(bell, np.zeros((1, 257)), config)[0])[first:256]
    np.testing.assert_allclose(frame, frame[::-1], atol=1e-6)


def test_phases_that_count_from_the_first_sample_instead_are_worth_nothing(monkeypatch):
    """As notebook 08 says: almost a quarter turn a bin makes all the difference."""
    magnitudes = magnitudes_of(opening())
    right = loss(magnitudes, phase_gradient_heap_integration(magnitudes, CONFIG))
    monkeypatch.setattr(
        starts, "_from_the_middle", lambda size, phases, _: size * np.exp(1j * phases)
    )
    wrong = loss(magnitudes, phase_gradient_heap_integration(magnitudes, CONFIG))
    assert right < -25 and wrong > -4


def test_gamma_comes_nearer_than_the_published_one(monkeypatch):
    """Průša, Balazs and Søndergaard (2017), table I: 0.29794; the decibels stand in notebook 08."""
    magnitudes = magnitudes_of(opening())
    reached = []
    for gamma in (starts.GAMMA, 0.29794):
        monkeypatch.setitem(starts.GAMMAS, "hamming", gamma)
        reached.append(loss(magnitudes, invert_magnitudes(magnitudes, CONFIG, "pghi")))
    np.testing.assert_allclose(reached, [-27.6, -25.5], atol=0.3)


@pytest.mark.slow
@pytest.mark.parametrize("frequency", [180, 220, 261.6, 440, 1234.5, 2000])
def test_a_tone_comes_back_at_its_frequency(frequency):
    """The mirrored spectrum of the 2017 code was one bin off and made 228 Hz of 220 Hz."""
    features = extract_features(tone(frequency), CONFIG)
    width = 15.6 * max(1, frequency // 500)  # of a group of bins
    found = loudest_frequency(invert_features(features, CONFIG))
    assert abs(found - frequency) < max(1, 0.1 * width)
    magnitudes = magnitudes_of(tone(frequency))
    for method in ("pghi", "spsi"):
        x = invert_magnitudes(magnitudes, CONFIG, method)
        assert abs(loudest_frequency(x) - frequency) < 1, method
    # Slaney's delays are whole samples: a tone whose period is not one comes back off.
    if frequency < 500:
        x = invert_features(features, CONFIG, "slaney")
        assert abs(loudest_frequency(x) / frequency - 1) < 0.01


@pytest.mark.parametrize("frequency", [125, 200, 400, 800, 1600])
def test_a_tone_with_a_period_of_whole_samples_is_slid_into_place(frequency):
    x = time_delay_start(magnitudes_of(tone(frequency)), CONFIG)
    assert abs(loudest_frequency(x) - frequency) < 0.1


@pytest.mark.parametrize("frames", [1, 5, 300])
def test_a_random_phase_is_uniform_and_every_frame_has_one(frames):
    """Overlap-add of the magnitudes with phases from a stream of their own, block after block."""
    magnitudes = np.random.default_rng(1).exponential(size=(frames, 257))
    turns = np.random.default_rng(0).random((frames, 257), np.float32)
    wanted = overlap_add(magnitudes * np.exp(2j * np.pi * turns), CONFIG)
    np.testing.assert_allclose(random_phase(magnitudes, CONFIG), wanted, atol=1e-6)


@pytest.mark.parametrize(
    "start", [random_phase, time_delay_start, spsi, phase_gradient_heap_integration]
)
def test_twice_the_magnitudes_are_twice_the_start(start):
    magnitudes = magnitudes_of(chords()[:2000]) / 60
    once, louder = start(magnitudes, CONFIG), start(64 * magnitudes, CONFIG)
    np.testing.assert_allclose(louder, 64 * once, atol=1e-3 * np.abs(louder).max())


def test_between_two_bins_that_are_equal_a_partial_turns_half_a_bin_faster():
    frame = np.full(257, 1e-3)
    frame[39:43] = [0.5, 1, 1, 0.5]
    x = spsi(np.tile(frame, (120, 1)), CONFIG)
    assert abs(loudest_frequency(x) - 40.5 * 8000 / 512) < 0.5


def test_a_frame_without_a_predecessor_stays_where_it_is():
    frame = magnitudes_of(chords())[5:6]
    pulse = np.roll(np.fft.irfft(frame[0]), 128)[:256]  # its peak at the middle of the window
    wanted = pulse / np.hamming(256)
    np.testing.assert_allclose(time_delay_start(frame, CONFIG), wanted, atol=1e-12)
    amid_silence = np.pad(frame, ((9, 9), (0, 0)))
    assert abs(np.argmax(time_delay_start(amid_silence, CONFIG)) - (9 * 64 + 128)) <= 1


@pytest.mark.parametrize("sound", [tone(220), tone(440), chords()], ids=["220", "440", "chords"])
@pytest.mark.parametrize(
    "start, gain", [(time_delay_start, 5), (spsi, 12), (phase_gradient_heap_integration, 18)]
)
def test_every_start_beats_chance(start, gain, sound):
    magnitudes = magnitudes_of(sound)
    chance = loss(magnitudes, random_phase(magnitudes, CONFIG))
    assert loss(magnitudes, start(magnitudes, CONFIG)) < chance - gain


def test_the_phase_gradient_is_that_of_the_stft():
    """Where it is loud, against the phases of a chirp itself (with a Gaussian-like window)."""
    t = SECOND
    x = np.sin(2 * np.pi * (500 * t + 400 * t**2))
    spectra = stft(x, CONFIG)
    magnitudes = np.abs(spectra)
    logarithms = np.log(np.maximum(magnitudes, 1e-9)).astype(np.float32)
    per_hop, per_bin = starts._phase_gradient(logarithms, CONFIG)
    middle = np.exp(1j * np.pi * 255 / 512 * np.arange(257))  # phases count from the middle
    phases = spectra * middle
    loud = magnitudes > 0.3 * magnitudes.max()

    def distance(change, predicted, where):
        return np.abs(np.angle(change * np.exp(-1j * predicted)))[where]

    change = phases[1:] * phases[:-1].conj()
    both = loud[1:] & loud[:-1]
    error = distance(change, (per_hop[1:] + per_hop[:-1]) / 2, both)[8:-8]
    assert both.sum() > 500 and np.median(error) < 0.05
    change = phases[:, 1:] * phases[:, :-1].conj()
    both = loud[:, 1:] & loud[:, :-1]
    both[:2] = both[-2:] = False
    assert np.median(distance(change, (per_bin[:, 1:] + per_bin[:, :-1]) / 2, both)) < 0.05


def test_the_papers_method_is_40_plain_iterations_after_its_start():
    magnitudes = magnitudes_of(chords()[:2000])
    level = magnitudes.max()
    start = time_delay_start(magnitudes / level, CONFIG)
    wanted = level * after(40, griffin_lim(start, magnitudes / level, CONFIG, 0))
    np.testing.assert_allclose(
        invert_magnitudes(magnitudes, CONFIG, "slaney"), wanted, atol=1e-4 * np.abs(wanted).max()
    )


def test_the_ladder_of_methods_on_chords():
    magnitudes = magnitudes_of(chords())
    error = {m: loss(magnitudes, invert_magnitudes(magnitudes, CONFIG, m)) for m in METHODS}
    assert error["griffin-lim"] < -15
    assert error["fast-griffin-lim"] < error["griffin-lim"] - 4
    assert error["pghi"] < error["griffin-lim"] - 4
    assert error["pghi-fast-griffin-lim"] < min(-35, error["pghi"] - 8)


@pytest.mark.parametrize("expansion", EXPANSIONS)
def test_an_expansion_has_the_group_means_it_was_made_from(expansion):
    amplitudes = np.random.default_rng(0).exponential(size=(30, 100))
    amplitudes[3:5] = 0
    amplitudes[7, 60:80] = 0
    magnitudes = expand(amplitudes, expansion)
    assert magnitudes.shape == (30, 257) and (magnitudes >= 0).all()
    np.testing.assert_allclose(reduce_magnitudes(magnitudes), amplitudes, atol=1e-12)


@pytest.mark.parametrize("kind", [np.float16, np.uint8])
def test_short_numbers_are_computed_with_as_long_ones(kind):
    short = np.random.default_rng(0).integers(0, 200, (3, 100)).astype(kind)
    long = short.astype(np.float64)
    for method in ("spsi", "pghi"):
        np.testing.assert_array_equal(
            invert_features(short, CONFIG, method), invert_features(long, CONFIG, method)
        )
    for expansion in EXPANSIONS:
        np.testing.assert_allclose(expand(short, expansion), expand(long, expansion), rtol=1e-5)


@pytest.mark.parametrize(
    ("kind", "computed"),
    [("f2", "f4"), ("u1", "f4"), ("f4", "f4"), ("f8", "f8")],
)
def test_magnitudes_are_as_precise_as_what_they_are_made_from(kind, computed):
    assert expand(np.ones((2, 100), kind)).dtype == computed
    assert expand(np.ones((2, 100), kind), "repetition").dtype == computed


@pytest.mark.parametrize("width", [100, 257])
def test_a_search_is_for_single_precision_whatever_is_given(width):
    wanted = np.ones((2, width))
    reduction = inversion.search.reduction_of(wanted, CONFIG)
    goal = inversion._goal(wanted, inversion._settings("pghi", {}), reduction)
    assert goal.wanted.dtype == goal.guess.dtype == np.float32


def test_a_spline_of_the_logarithm_follows_the_main_lobes():
    magnitudes = magnitudes_of(chords())
    amplitudes = reduce_magnitudes(magnitudes)
    error = {e: spectral_convergence(magnitudes, expand(amplitudes, e)) for e in EXPANSIONS}
    assert error["spline"] < error["linear"] - 1 < error["repetition"] - 2


def test_a_bell_comes_back_from_its_group_means():
    """The spline is exact for a parabola in the logarithm, up to the mean over a group."""
    bell = np.exp(-((np.arange(257) - 150.3) ** 2) / 200)[None]
    again = expand(reduce_magnitudes(bell))
    np.testing.assert_allclose(again, bell, atol=0.01)


def test_matching_groups_keeps_the_shape_inside_a_group():
    rng = np.random.default_rng(0)
    magnitudes, amplitudes = rng.exponential(size=(9, 257)), rng.exponential(size=(9, 100))
    matched = match_groups(magnitudes, amplitudes)
    np.testing.assert_allclose(reduce_magnitudes(matched), amplitudes)
    ratio = matched / magnitudes
    np.testing.assert_allclose(ratio[:, 96:100], ratio[:, 96:97] * np.ones(4))  # a group of four
    magnitudes[:, 96:100] = 0  # nothing is there to be scaled
    assert np.array_equal(match_groups(magnitudes, amplitudes) == 0, magnitudes == 0)


@pytest.mark.parametrize("insistence", [0, 0.1, 0.5])
def test_an_iteration_asks_for_the_groups_and_for_its_share_of_the_shape(insistence):
    rng = np.random.default_rng(0)
    spectra = (rng.normal(size=(9, 257)) + 1j * rng.normal(size=(9, 257))).astype(np.complex64)
    wanted, guess = rng.exponential(size=(9, 100)), rng.exponential(size=(9, 257))
    goal = inversion.search.Goal(wanted, inversion.OctaveGroups(), guess, insistence)
    found = goal.approach(slice(2, 7), spectra[2:7].copy())
    shape = (1 - insistence) * np.abs(spectra) + insistence * guess
    expected = match_groups(shape, wanted) * np.exp(1j * np.angle(spectra))
    np.testing.assert_allclose(found, expected[2:7], rtol=1e-4)


@pytest.mark.parametrize("search", [griffin_lim, alternating_reflections])
def test_a_search_is_in_single_precision_from_its_start(search):
    x = noise(5)
    for waveform in itertools.islice(search(x, magnitudes_of(x), CONFIG), 3):
        assert waveform.dtype == np.float32


def test_every_waveform_of_a_search_has_the_level_of_what_is_wanted():
    magnitudes = magnitudes_of(chords()[:2000])
    few = [itertools.islice(iterates(g * magnitudes, CONFIG, reflections=2), 5) for g in (1, 64)]
    for once, louder in zip(*few, strict=True):
        np.testing.assert_allclose(louder, 64 * once, rtol=1e-6)


def test_the_less_a_search_insists_on_the_guess_the_nearer_it_gets_to_the_features():
    features = reduce_magnitudes(magnitudes_of(drum(0)))
    errors = []
    for insistence in (0, 0.3, 1):
        x = after(80, iterates(features, CONFIG, insistence=insistence))
        errors.append(spectral_convergence(features, reduce_magnitudes(magnitudes_of(x))))
    assert errors[0] < errors[1] - 1 and errors[1] < errors[2] - 1, errors


def test_whole_insistence_is_a_search_for_the_guess_and_none_a_search_for_the_features():
    wanted = reduce_magnitudes(magnitudes_of(chords()))
    wanted = wanted / wanted.max()
    guess = expand(wanted)
    start = random_phase(guess.astype(np.float32), CONFIG)
    for insistence, goal in ((1, guess), (0, wanted)):
        found = after(9, iterates(wanted, CONFIG, "griffin-lim", insistence=insistence))
        np.testing.assert_allclose(found, after(9, griffin_lim(start, goal, CONFIG)), atol=1e-4)


def test_two_sounds_can_have_the_same_features():
    """What limits an inversion: above 1.5 kHz there are no more features than unknowns."""
    x = drum(0)
    features, magnitudes = reduce_magnitudes(magnitudes_of(x)), magnitudes_of(x)
    other = np.fft.rfft(np.random.default_rng(1).normal(0, x.std(), len(x)))
    other[np.fft.rfftfreq(len(x), 1 / 8000) < 1500] = 0
    twin = after(300, griffin_lim(x + np.fft.irfft(other, len(x)), features, CONFIG, 0.99))
    assert spectral_convergence(features, reduce_magnitudes(magnitudes_of(twin))) < -40
    assert loss(magnitudes, twin) > -20


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_the_same_input_gives_the_same_bytes(method):
    features = extract_features(chords(), CONFIG)
    first, second = (invert_features(features, CONFIG, method).tobytes() for _ in range(2))
    assert first == second


def test_the_ends_do_not_click():
    x = invert_features(extract_features(chords(), CONFIG), CONFIG)
    assert abs(x[0]) < 0.01 * np.abs(x).max() and abs(x[-1]) < 0.01 * np.abs(x).max()
    ones = fade(np.ones(1000))
    assert ones[0] < 0.001 and ones[-1] < 0.001 and (np.diff(ones[:500]) >= 0).all()
    np.testing.assert_array_equal(ones, ones[::-1])
    np.testing.assert_array_equal(ones[32:-32], 1)
    np.testing.assert_allclose(ones[:32] + ones[31::-1], 1)  # half a cosine


def test_a_loud_passage_does_not_change_the_level_of_a_soft_one():
    soft = 0.01 * chords()
    both = np.concatenate([soft, np.zeros(4000), tone(500)])
    x = invert_features(extract_features(both, CONFIG), CONFIG)
    # `weight` works in a circle: the first samples hold what rings on from the last.
    x, soft = x[256 : len(soft)], soft[256:]
    assert abs(20 * np.log10(np.linalg.norm(x) / np.linalg.norm(soft))) < 0.5


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("preset", ["paper", "original-2017", "default"])
def test_features_of_music_come_back_within_a_fifth(method, preset):
    config = FeatureConfig.preset(preset)
    features = extract_features(chords(), config)
    again = extract_features(invert_features(features, config, method), config)
    assert spectral_convergence(features, again) < -14


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("frames", [1, 2, 30])
def test_every_frame_adds_a_hop(method, frames):
    features = np.random.default_rng(0).exponential(size=(frames, 100))
    x = invert_features(features, CONFIG, method)
    assert x.shape == (64 * (frames - 1) + 256,) and np.isfinite(x).all()


@pytest.mark.slow
@settings(derandomize=True, deadline=None, max_examples=40)
@given(
    frames=st.integers(1, 60),
    preset=st.sampled_from(["paper", "original-2017", "default"]),
    method=st.sampled_from(sorted(METHODS)),
    dtype=st.sampled_from([np.float32, np.float64]),
    level=st.sampled_from([1e-30, 1e-6, 1.0, 1e6, 1e30]),
)
def test_features_of_any_length_and_level_are_a_sound(frames, preset, method, dtype, level):
    config = FeatureConfig.preset(preset)
    features = np.random.default_rng(frames).exponential(size=(frames, 100))
    features = (features * level**config.compression).astype(dtype)
    x = invert_features(features, config, method, iterations=2)
    assert x.shape == (64 * (frames - 1) + 256,) and np.isfinite(x).all()
    again = extract_features(x, config)
    assert again.shape == features.shape
    unit = invert_features(features / level**config.compression, config, method, iterations=2)
    assert np.abs(x).max() == pytest.approx(level * np.abs(unit).max(), rel=0.2)


@pytest.mark.parametrize("method", METHODS)
def test_silence_stays_silence(method):
    np.testing.assert_array_equal(invert_features(np.zeros((20, 100)), CONFIG, method), 0)
    np.testing.assert_array_equal(invert_features(np.full((20, 100), -1.0), CONFIG, method), 0)
    np.testing.assert_array_equal(invert_magnitudes(np.zeros((20, 257)), CONFIG, method), 0)


CLICK = np.eye(1, 3000, 1500)[0]
EXTREMES = {
    "constant": np.ones(3000),
    "click": CLICK,
    "silence, then sound": np.where(SECOND < 0.5, 0, tone(300)),
    "barely there": 1e-12 * tone(300),
}


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", EXTREMES)
def test_every_sound_comes_back_as_loud_as_it_was(method, name):
    sound = EXTREMES[name]
    x = invert_features(extract_features(sound, CONFIG), CONFIG, method)
    assert np.isfinite(x).all()
    assert 0.3 < np.linalg.norm(x) / np.linalg.norm(sound) < 1.5


@pytest.mark.parametrize("method", METHODS)
def test_a_click_comes_back_near_its_place(method):
    x = invert_features(extract_features(CLICK, CONFIG), CONFIG, method)
    assert abs((np.arange(len(x)) * x**2).sum() / (x**2).sum() - 1500) < 64


def test_spectral_convergence_in_closed_form():
    reference = np.random.default_rng(0).exponential(size=(10, 257))
    for factor, wanted in [(0, 0), (1.1, -20), (0.9, -20), (2, 0), (11, 20), (-1.01, -40)]:
        np.testing.assert_allclose(
            spectral_convergence(reference, factor * reference), wanted, atol=1e-9
        )
        quiet = 1e-6 * reference
        np.testing.assert_allclose(spectral_convergence(quiet, factor * quiet), wanted, atol=1e-9)
    assert spectral_convergence(reference, reference) < -300
    longer = np.concatenate([1.1 * reference, reference])  # what is beyond the end is left out
    np.testing.assert_allclose(spectral_convergence(reference, longer), -20)
    np.testing.assert_allclose(spectral_convergence(longer, reference), 20 * np.log10(0.1 / 1.1))
    silence = np.zeros((10, 257))
    assert spectral_convergence(silence, silence) == -np.inf
    assert spectral_convergence(silence, reference) == np.inf


@pytest.mark.parametrize(
    "features, method, sentence",
    [
        (np.zeros((5, 99)), "slaney", r"shape \(frames, 100\), not \(5, 99\)"),
        (np.zeros((0, 100)), "slaney", r"not \(0, 100\)"),
        (np.zeros(100), "slaney", r"not \(100,\)"),
        (np.full((5, 100), np.nan), "slaney", "NaN or infinite values"),
        (np.full((5, 100), np.inf), "slaney", "NaN or infinite values"),
        (
            np.full((5, 100), -np.inf),
            "slaney",
            "^the features hold NaN or infinite values: no sound",
        ),
        (np.full((5, 100), 1e200), "slaney", "NaN or infinite values"),  # as amplitudes
        (
            np.zeros((5, 100)),
            "magic",
            "no method 'magic'; choose one of pghi-fast-griffin-lim, pghi, spsi",
        ),
    ],
)
def test_what_is_not_features_is_refused(features, method, sentence):
    with pytest.raises(ValueError, match=sentence):
        invert_features(features, CONFIG, method)


@pytest.mark.parametrize(
    "magnitudes, sentence",
    [
        (np.zeros((5, 256)), r"shape \(frames, 257\), not \(5, 256\)"),
        (np.zeros((0, 257)), r"not \(0, 257\)"),
        (np.full((5, 257), -1.0), "negative, NaN or infinite"),
        (np.full((5, 257), np.nan), "^the magnitudes hold negative, NaN or infinite values: take"),
        (np.full((5, 257), np.inf), "negative, NaN or infinite"),
    ],
)
def test_what_are_not_magnitudes_is_refused(magnitudes, sentence):
    with pytest.raises(ValueError, match=sentence):
        invert_magnitudes(magnitudes, CONFIG)


def test_an_unknown_expansion_is_refused():
    with pytest.raises(ValueError, match="no expansion 'magic'; choose one of repetition, linear"):
        invert_features(np.ones((5, 100)), CONFIG, expansion="magic")


# ------------------------------------------------------------------------ any STFT, any filter bank

TRANSFORMS = [
    STFT(22050, 1024, 256, 2048, "hann", periodic=True),
    STFT(44100, 2048, 512, 2048, "hann", periodic=True),
    STFT(44100, 2048, 512, 4096, "hamming"),
    STFT(16000, 400, 160, 512, "hann"),  # of speech recognition: the window is 2.5 hops
    STFT(8000, 64, 32, 198, "hamming"),  # which has 100 bins, as many as there are features
]


def music(config, seconds=0.7):
    """Three decaying notes with all their partials up to half the sample rate, and some breath."""
    t = np.arange(round(seconds * config.sample_rate)) / config.sample_rate
    x = 0.001 * np.random.default_rng(0).normal(size=len(t))
    for onset, f in [(0.05, 220.0), (0.2, 277.18), (0.4, 329.63)]:
        since = np.maximum(t - onset, 0)
        for h in range(1, int(0.45 * config.sample_rate / f)):
            x += np.exp(-(2 + h / 4) * since) * np.sin(2 * np.pi * f * h * since) / h
    return 0.2 * x


def error_of(found, config, magnitudes):
    return spectral_convergence(magnitudes, np.abs(stft(found.astype(float), config)))


def by_librosa(magnitudes, config):
    """Griffin and Lim's 80 iterations of librosa, on the same frames."""
    settings = dict(n_iter=80, momentum=0.99, n_fft=config.fft, hop_length=config.hop)
    settings |= dict(win_length=config.window, window=config.taper, center=False)
    rng = "rng" if "rng" in inspect.signature(librosa.griffinlim).parameters else "random_state"
    found = librosa.griffinlim(magnitudes.T, **settings, **{rng: 0})
    # librosa's frame begins where the transform does, and the window lies in its middle.
    return found[(config.fft - config.window) // 2 :][: config.hop * (len(magnitudes) - 1)]


@pytest.mark.slow
@pytest.mark.parametrize("config", TRANSFORMS, ids=str)
def test_any_stft_is_librosas_and_its_nearest_waveform_the_one_it_is_of(config):
    x = music(config, 0.2)
    spectra = stft(x, config)
    assert spectra.shape == ((len(x) - config.window) // config.hop + 1, config.bins)
    before = (config.fft - config.window) // 2  # librosa's window lies in its frame's middle
    settings = dict(n_fft=config.fft, hop_length=config.hop, win_length=config.window)
    padded = np.pad(x, (before, config.fft))
    wanted = librosa.stft(padded, window=config.taper, center=False, **settings)
    np.testing.assert_allclose(np.abs(spectra), np.abs(wanted.T[: len(spectra)]), atol=1e-5)
    again = overlap_add(spectra, config)
    assert len(again) == config.hop * (len(spectra) - 1) + config.window
    inside = slice(config.window // 8, -(config.window // 8))
    np.testing.assert_allclose(again[inside], x[: len(again)][inside], atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("config", TRANSFORMS[:3], ids=str)
def test_any_magnitudes_come_back_nearer_than_by_librosa(config):
    magnitudes = np.abs(stft(music(config), config))
    ours = error_of(invert_magnitudes(magnitudes, config), config, magnitudes)
    theirs = error_of(by_librosa(magnitudes, config), config, magnitudes)
    assert ours < min(-32, theirs - 5), (ours, theirs)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("config", TRANSFORMS, ids=str)
@pytest.mark.parametrize("frames", [1, 2, 9])
def test_every_method_takes_any_stft_and_any_number_of_frames(method, config, frames):
    magnitudes = np.random.default_rng(0).exponential(size=(frames, config.bins))
    x = invert_magnitudes(magnitudes, config, method)
    assert x.shape == (config.hop * (frames - 1) + config.window,) and np.isfinite(x).all()
    silence = invert_magnitudes(np.zeros((frames, config.bins)), config, method)
    np.testing.assert_array_equal(silence, 0)


@pytest.mark.parametrize("start, worst", [(spsi, -10), (phase_gradient_heap_integration, -14)])
@pytest.mark.parametrize("config", TRANSFORMS[:3], ids=str)
def test_a_start_is_near_at_any_stft(config, start, worst):
    magnitudes = np.abs(stft(music(config), config))
    assert error_of(start(magnitudes, config), config, magnitudes) < worst


def test_a_transform_without_padding_sees_steeper_flanks(monkeypatch):
    config = TRANSFORMS[1]
    magnitudes = np.abs(stft(music(config), config))
    heeded = phase_gradient_heap_integration(magnitudes, config)
    monkeypatch.setattr(starts, "STEEPER", 0)
    ignored = phase_gradient_heap_integration(magnitudes, config)
    heeded, ignored = (error_of(x, config, magnitudes) for x in (heeded, ignored))
    assert heeded < ignored - 0.5, (heeded, ignored)


def test_a_search_in_pieces_is_one_search_where_the_window_is_no_multiple_of_the_hop(monkeypatch):
    config, few = TRANSFORMS[3], dict(iterations=6, reflections=3)
    magnitudes = np.abs(stft(music(config, 2), config))
    monkeypatch.setattr(transform, "BLOCK", 32)
    whole = invert_magnitudes(magnitudes, config, **few)
    monkeypatch.setattr(inversion, "PIECE", 64)
    np.testing.assert_array_equal(invert_magnitudes(magnitudes, config, **few), whole)


def test_spectra_of_librosa_come_back_as_the_docstring_says():
    example = re.search(r"\n\n((?: {4}.*\n)+)", inspect.getdoc(invert_magnitudes) + "\n")[1]
    names = {"STFT": STFT, "librosa": librosa, "invert_magnitudes": invert_magnitudes}
    names["waveform"] = music(TRANSFORMS[0])
    exec(inspect.cleandoc(example), names)
    assert len(names["again"]) == len(names["waveform"])
    settings = dict(n_fft=2048, hop_length=256, win_length=1024)
    again = np.abs(librosa.stft(names["again"], **settings))
    assert spectral_convergence(np.abs(names["spectra"]), again) < -30


def mel(config, bands):
    return librosa.filters.mel(sr=config.sample_rate, n_fft=config.fft, n_mels=bands)


def constant_q(config):
    """Ten bands in an octave from 55 Hz, bells whose width grows with their frequency."""
    centres = 55 * 2 ** (np.arange(70) / 10)
    hertz = np.linspace(0, config.sample_rate / 2, config.bins)
    return np.exp(-np.square((hertz - centres[:, None]) / (0.06 * centres[:, None] + 5)))


@pytest.mark.slow
@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize(
    "config, matrix, worst",
    [
        (TRANSFORMS[0], mel(TRANSFORMS[0], 80), -25),
        (TRANSFORMS[0], mel(TRANSFORMS[0], 128), -25),
        (TRANSFORMS[2], mel(TRANSFORMS[2], 128), -25),
        (TRANSFORMS[0], constant_q(TRANSFORMS[0]), -25),
    ],
)
def test_bands_come_back(config, matrix, worst, power):
    magnitudes = np.abs(stft(music(config), config))
    bands = magnitudes**power @ matrix.T
    found = invert_bands(bands, matrix, config, power)
    again = np.abs(stft(found, config)) ** power @ matrix.T
    assert spectral_convergence(bands ** (1 / power), again ** (1 / power)) < worst


@pytest.mark.slow
@pytest.mark.parametrize("power", [1, 2])
def test_mel_comes_back_nearer_than_by_librosa(power):
    config, matrix = TRANSFORMS[0], mel(TRANSFORMS[0], 128)
    magnitudes = np.abs(stft(music(config), config))
    bands = magnitudes**power @ matrix.T
    ours = invert_bands(bands, matrix, config, power)
    least = librosa.feature.inverse.mel_to_stft(
        bands.T, sr=config.sample_rate, n_fft=config.fft, power=power
    )
    theirs = by_librosa(least.T, config)
    errors = [error_of(x, config, magnitudes) for x in (ours, theirs)]
    assert errors[0] < errors[1] - 2, errors


@pytest.mark.parametrize("power", [1, 2])
def test_twice_the_sound_has_four_times_the_power_in_its_bands(power):
    config, matrix = TRANSFORMS[0], mel(TRANSFORMS[0], 80)
    bands = np.abs(stft(music(config), config)) ** power @ matrix.T
    once, louder = (invert_bands(g**power * bands, matrix, config, power) for g in (1, 2))
    np.testing.assert_allclose(louder, 2 * once, atol=1e-6)


def groups():
    """The matrix of the features: means of the paper's groups."""
    return np.repeat(np.eye(100), GROUP_WIDTHS, axis=0).T / GROUP_WIDTHS[:, None]


def test_bands_that_do_not_overlap_are_held_to_as_the_features_groups_are():
    rng = np.random.default_rng(0)
    magnitudes, wanted = rng.exponential(size=(9, 257)), rng.exponential(size=(9, 100))
    matrix = np.pad(groups(), ((0, 0), (0, 1)))  # of the last bin it knows nothing
    gain = inversion.Filterbank(matrix, 1).gain(wanted, magnitudes)
    found = match_groups(magnitudes, wanted)[:, :256]
    np.testing.assert_allclose((gain * magnitudes)[:, :256], found, rtol=1e-5)
    np.testing.assert_array_equal(gain[:, 256], 1)


def divergence(wanted, found):
    """Of Kullback and Leibler, for values that need not sum to 1."""
    return (wanted * np.log(wanted / found) - wanted + found).sum()


@settings(derandomize=True, deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.sampled_from([1, 2]))
def test_an_update_brings_the_bands_never_further_from_what_is_wanted(seed, bands, power):
    """The theorem of Lee and Seung (2000), for any non-negative matrix."""
    rng = np.random.default_rng(seed)
    matrix = rng.exponential(size=(bands, 12)) * (rng.random((bands, 12)) < 0.5)
    matrix[:, 0] += 0.1  # no band of nothing
    filterbank = inversion.Filterbank(matrix, power)
    wanted, x = rng.exponential(size=(1, bands)), rng.exponential(size=(1, 12))
    distances = []
    for _ in range(6):
        distances.append(divergence(wanted, x**power @ filterbank.weights))
        x = x * filterbank.gain(wanted, x)
    assert (np.diff(distances) <= 1e-5 * distances[0] + 1e-6).all()


@pytest.mark.parametrize("power", [1, 2])
def test_what_a_filter_bank_says_of_magnitudes_leaves_them_alone(power):
    config = TRANSFORMS[0]
    magnitudes = np.abs(stft(music(config), config)) + 1e-3
    filterbank = inversion.Filterbank(mel(config, 80), power)
    means = filterbank.means(magnitudes**power @ mel(config, 80).T)
    np.testing.assert_allclose(filterbank.gain(means, magnitudes), 1, rtol=1e-4)


def test_a_band_of_each_bin_is_the_magnitudes_themselves():
    magnitudes = np.random.default_rng(0).exponential(size=(300, 257)).astype(np.float32)
    for power in (1, 2):
        filterbank = inversion.Filterbank(3 * np.eye(257), power)
        means = filterbank.means(3 * magnitudes**power)
        np.testing.assert_allclose(filterbank.expand(means), magnitudes, rtol=1e-4)


@pytest.mark.parametrize("power", [1, 2])
def test_bands_that_are_all_alike_are_alike_from_the_first(monkeypatch, power):
    monkeypatch.setattr(inversion.filterbank, "UPDATES", 0)
    matrix = mel(TRANSFORMS[0], 80)
    guess = inversion.Filterbank(matrix, power).expand(np.full((3, 80), 0.5**power, np.float32))
    np.testing.assert_allclose(guess[:, matrix.any(axis=0)], 0.5, rtol=1e-5)


def test_a_hundred_bins_are_no_features():
    config = TRANSFORMS[4]
    magnitudes = np.abs(stft(music(config), config))
    found = after(5, iterates(magnitudes, config))
    np.testing.assert_array_equal(found, invert_magnitudes(magnitudes, config, iterations=5))


def test_bands_of_nothing_and_bins_that_none_hears_are_no_matter():
    config = TRANSFORMS[0]
    matrix = np.pad(mel(config, 80)[:40], ((0, 1), (0, 0)))  # up to 3 kHz, and an empty one
    bands = np.abs(stft(music(config), config)) @ matrix.T
    spectra = np.abs(stft(invert_bands(bands, matrix, config, 1), config))
    beyond = np.flatnonzero(matrix.any(axis=0))[-1] + 8  # further away than a lobe reaches
    assert spectra[:, beyond:].max() < 1e-3 * spectra.max()
    changed = bands + np.eye(41)[40]  # what an empty band is said to hold
    np.testing.assert_array_equal(
        invert_bands(changed, matrix, config, 1), invert_bands(bands, matrix, config, 1)
    )
    silence = invert_bands(np.zeros((5, 41)), matrix, config)
    np.testing.assert_array_equal(silence, 0)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_takes_bands_and_the_same_bands_give_the_same_bytes(method):
    config, matrix = TRANSFORMS[0], mel(TRANSFORMS[0], 80)
    bands = np.abs(stft(music(config), config)) ** 2 @ matrix.T
    first, second = (invert_bands(bands, matrix, config, 2, method, iterations=3) for _ in "ab")
    assert np.isfinite(first).all() and first.tobytes() == second.tobytes()


def test_bands_give_the_same_bytes_on_any_number_of_threads():
    config, matrix = TRANSFORMS[0], mel(TRANSFORMS[0], 80)
    bands = np.abs(stft(music(config), config)) ** 2 @ matrix.T
    found = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            found.append(invert_bands(bands, matrix, config).tobytes())
    assert found[0] == found[1]


def test_whole_insistence_is_a_search_for_the_guess_from_bands_too():
    config, matrix = TRANSFORMS[0], mel(TRANSFORMS[0], 80)
    bands = np.abs(stft(music(config, 0.3), config)) @ matrix.T
    filterbank = inversion.Filterbank(matrix, 1)
    means = filterbank.means(bands)
    guess = means.max() * filterbank.expand((means / means.max()).astype(np.float32))
    found = invert_bands(bands, matrix, config, 1, "griffin-lim", iterations=9, insistence=1.0)
    wanted = invert_magnitudes(guess, config, "griffin-lim", iterations=9)
    np.testing.assert_allclose(found, wanted, atol=1e-4 * np.abs(wanted).max())


ONES = np.ones((80, 1025))


@pytest.mark.parametrize(
    "bands, matrix, power, sentence",
    [
        (np.ones((5, 80)), np.ones((80, 513)), 2, r"shape \(bands, 1025\), a column .* 2048 point"),
        (np.ones((5, 80)), np.ones(1025), 2, r"not \(1025,\)$"),
        (np.ones((5, 80)), -ONES, 2, "^the matrix holds negative, NaN or infinite weights, or"),
        (np.ones((5, 80)), ONES * np.nan, 2, "^the matrix holds"),
        (np.ones((5, 80)), ONES * np.inf, 2, "^the matrix holds"),
        (np.ones((5, 80)), 0 * ONES, 2, "none above 0"),
        (np.ones((5, 80)), ONES, 0, "^the power is 0: give 1 for bands of magnitudes, 2 for power"),
        (np.ones((5, 80)), ONES, np.inf, "^the power is inf"),
        (np.ones((5, 79)), ONES, 2, r"^bands have the shape \(frames, 80\), not \(5, 79\)$"),
        (np.ones((80, 5)), ONES, 2, r"not \(80, 5\): transpose them$"),
        (np.ones((0, 80)), ONES, 2, r"not \(0, 80\)$"),
        (
            -np.ones((5, 80)),
            ONES,
            2,
            "^the bands hold negative.* undo decibels or logarithms first",
        ),
        (np.full((5, 80), np.nan), ONES, 2, "^the bands hold negative, NaN"),
    ],
)
def test_what_are_not_bands_is_refused(bands, matrix, power, sentence):
    with pytest.raises(ValueError, match=sentence):
        invert_bands(bands, matrix, TRANSFORMS[0], power)


def test_magnitudes_of_another_stft_are_refused_and_turned_ones_told_so():
    with pytest.raises(ValueError, match=r"shape \(frames, 1025\), not \(5, 257\)$"):
        invert_magnitudes(np.ones((5, 257)), TRANSFORMS[0])
    with pytest.raises(ValueError, match=r"not \(1025, 5\): transpose them$"):
        invert_magnitudes(np.ones((1025, 5)), TRANSFORMS[0])
    with pytest.raises(ValueError, match="no method 'magic'"):
        invert_magnitudes(np.ones((5, 1025)), TRANSFORMS[0], "magic")


# ---------------------------------------------------------------------------- level and memory


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("level", [1e-150, 1e-30, 1e30, 1e150])
def test_the_level_does_not_matter(method, level):
    magnitudes = magnitudes_of(chords()[:2000])
    x = invert_magnitudes(level * magnitudes, CONFIG, method) / level
    wanted = invert_magnitudes(magnitudes, CONFIG, method)
    assert np.linalg.norm(x - wanted) < 0.02 * np.linalg.norm(wanted)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_memory_grows_slowly_with_the_length(method):
    """Spectra exist for one block at a time: those of a minute at once would be 31 MB a copy."""
    import tracemalloc

    features = np.random.default_rng(0).exponential(size=(125 * 60, 100))
    invert_features(features[:200], CONFIG, method, iterations=1)
    tracemalloc.start()
    invert_features(features, CONFIG, method, iterations=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 55e6
