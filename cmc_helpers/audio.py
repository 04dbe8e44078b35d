"""Recordings ↔ waveforms: mono, at one sample rate, and every bad file named in one sentence.

The decoder, libsndfile, returns what is left of a file that was cut short as if that were all. So
the length that the file's own header promises is first compared with what is there.
"""

import io
import mmap
import os
import sys
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import ArrayLike

from cmc_helpers.files import FileError, readable_file, replacing

SILENCE = 10 ** (-90 / 20)  # just above the smallest step of 16 bits
CANCELLED = 10 ** (-30 / 20)  # peak of the channels' mean, relative to the first channel
LARGEST = 1e30  # of a sample: soxr computes in 32 bits
SAMPLE_RATES = range(1_000, 768_001)  # in Hz; any other comes from a damaged header
BLOCK = 2**16  # frames read or written at once: memory follows the sound, not the header
ENDLESS = 2**62  # frames; libsndfile says more than this when it does not know

# Formats made of chunks: where the first one starts, how many bytes its name and its size take,
# the byte order, and the multiple to which chunks are padded.
CHUNKS = {
    b"RIFF": (12, 4, 4, "little", 2),  # WAV
    b"RIFX": (12, 4, 4, "big", 2),
    b"RF64": (12, 4, 4, "little", 2),  # WAV above 4 GiB
    b"FORM": (12, 4, 4, "big", 2),  # AIFF
    b"caff": (8, 4, 8, "big", 1),
    b"riff": (40, 16, 8, "little", 8),  # W64
}

# Bit rates of MP3 frames by their index in the header: in MPEG 2 and 2.5, and in MPEG 1.
KILOBITS = (
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0),
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0),
)

AGAIN = "copy or download it again"
CUT = f"is cut short: {AGAIN}"
CONVERT = f"{AGAIN}, or convert it to WAV or FLAC, for example with ffmpeg -i x.m4a x.wav"


class AudioError(FileError):
    """A sound file that cannot be read or written faithfully."""


def read_audio(path: str | Path, sample_rate: float = 8000, min_samples: int = 256) -> np.ndarray:
    """Return the waveform of a sound file: (samples,) float64, mono, in about [−1, 1].

    Reads WAV, FLAC, Ogg (Vorbis, Opus), MP3, AIFF, AU, CAF and W64 with any number of channels,
    takes their mean, and resamples it to `sample_rate` in Hz. Float files may exceed ±1 and stay
    as they are. When the channels cancel each other, the first is taken, with a UserWarning.

    Raises AudioError for a file that is missing, of another kind, damaged, cut short, silent, NaN
    or infinite, or shorter than `min_samples`: one window of the paper's section 2.4.1.

    """
    path = readable_file(path, AudioError)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if fault := _fault(data):
            raise AudioError(f"{path} {fault}")
    try:
        with _without_chatter():
            blocks = list(_decode(path, sample_rate))
    except UnicodeEncodeError:  # of soundfile, from bytes that a file system without UTF-8 left
        raise AudioError(f"{path} has a name that is not UTF-8: rename it") from None
    except (soundfile.SoundFileError, TypeError) as problem:  # TypeError: named x.raw
        reason = str(getattr(problem, "error_string", problem)).removeprefix("Error : ").rstrip(".")
        raise AudioError(
            f"{path} is damaged, cut short or in an unknown encoding ({reason}): {CONVERT}"
        ) from problem
    mean, first = np.concatenate(blocks).T
    if mean.size == 0:
        raise AudioError(f"{path} holds no samples: record or export it again")
    if mean.size < min_samples:
        raise AudioError(
            f"{path} lasts {1000 * mean.size / sample_rate:.1f} ms, less than one window of "
            f"{1000 * min_samples / sample_rate:.1f} ms: give a longer recording"
        )
    if max(_peak(mean), _peak(first)) < SILENCE:
        raise AudioError(f"{path} is silent (below -90 dBFS at {sample_rate} Hz): record it again")
    if _peak(mean) < CANCELLED * _peak(first):
        warnings.warn(
            f"{path} has channels that cancel each other, so only the first is used: "
            "flip the sign of one of them to use all",
            stacklevel=2,
        )
        return first.copy()
    return mean.copy()


def write_audio(path: str | Path, waveform: ArrayLike, sample_rate: int = 8000) -> None:
    """Write a waveform of (samples,) in [−1, 1] as 16-bit WAV or FLAC, or as Ogg Vorbis.

    The suffix of `path` decides. What exceeds ±1 is scaled down, with a UserWarning. The same
    waveform gives the same bytes, but for Ogg, which numbers its streams at random.

    Raises AudioError for another suffix, for a waveform that is empty, not one-dimensional, NaN
    or infinite, and when the file cannot be written; an older file then stays as it was.
    """
    path = Path(path)
    subtype = {".wav": "PCM_16", ".flac": "PCM_16", ".ogg": "VORBIS"}.get(path.suffix.lower())
    if subtype is None:
        raise AudioError(f"{path} cannot be written: choose a name in .wav, .flac or .ogg")
    if not 1_000 <= sample_rate <= 192_000:  # beyond, libsndfile's Ogg encoder crashes
        raise AudioError(f"{path} cannot be written at {sample_rate} Hz: choose 1000 to 192000 Hz")
    waveform = np.asarray(waveform, dtype=float)
    if waveform.ndim != 1 or waveform.size == 0 or not np.isfinite(waveform).all():
        raise AudioError(
            f"{path} is not written: the waveform must be finite numbers of shape (samples,), "
            f"this one has shape {waveform.shape} and {(~np.isfinite(waveform)).sum()} NaN or Inf"
        )
    if (peak := _peak(waveform)) > 1:
        warnings.warn(f"{path} is scaled down from a peak of {peak:.3g} to 1", stacklevel=2)
        waveform = waveform / peak
    encoded = io.BytesIO()  # libsndfile does not tell of a disk that is full at the very end
    options = {"subtype": subtype, "format": path.suffix[1:]}
    with soundfile.SoundFile(encoded, "w", sample_rate, 1, **options) as recording:
        for start in range(0, waveform.size, BLOCK):  # libsndfile crashes on a long Ogg
            recording.write(waveform[start : start + BLOCK])
    with replacing(path, AudioError) as temporary:
        # Not getbuffer(): where the write fails, its view crashes Python 3.12.1 (gh-111049).
        temporary.write_bytes(encoded.getvalue())


def set_level(
    waveform: ArrayLike,
    like: np.ndarray | None = None,
    decibels: float = -20.0,
    sample_rate: float = 8000,
) -> np.ndarray:
    """Scale a whole waveform by one gain, so that `like` would have the level `decibels`.

    like: a waveform whose level is known to be right, such as the primer of what a model made; the
    default is the waveform itself. Measured against the primer, a model that plays softly stays
    soft, and one that falls silent stays silent. Inside the waveform nothing changes but the unit.
    decibels: of the mean power relative to full scale (dBFS), taken as in ITU-R BS.1770 over blocks
    of 400 ms, of which those 10 dB below the mean do not count; without its frequency weighting.
    The gain is at most 40 dB, and less where the peak would exceed 1. Silence stays as it is.
    """
    waveform = np.asarray(waveform, dtype=float)
    level = _gated_level(waveform if like is None else like, sample_rate)
    peak = _peak(waveform)
    if level == -np.inf or peak == 0:
        return waveform
    return waveform * min(10 ** (min(decibels - level, 40) / 20), 1 / peak)


def _gated_level(waveform, sample_rate):
    block = min(len(waveform), round(0.4 * sample_rate))
    blocks = waveform[: len(waveform) // block * block].reshape(-1, block)
    power = np.square(blocks, dtype=float).mean(axis=1)
    with np.errstate(divide="ignore"):
        return float(10 * np.log10(power[power >= power.mean() / 10].mean()))


@contextmanager
def _without_chatter():
    """Drop what libmpg123, inside libsndfile, writes to file descriptor 2 about a damaged MP3."""
    if sys.stderr is None:  # as under pythonw: it does not exist, or is some file's
        yield
        return
    sys.stderr.flush()
    try:
        stderr = os.dup(2)
    except OSError:  # as in IDLE, which has a window in its place
        yield
        return
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


class _Recording(soundfile.SoundFile):
    """A sound file that is read once, from front to back.

    soundfile seeks after each block of a file that can seek, which garbles an MP3 and fails in a
    FLAC that came through a pipe.
    """

    def seekable(self):
        return False


def _decode(path, sample_rate):
    """Yield blocks of (n, 2) at `sample_rate`: the mean of all channels, and the first."""
    with _Recording(path) as recording:
        if recording.samplerate not in SAMPLE_RATES:
            raise AudioError(f"{path} claims {recording.samplerate} samples per second: {AGAIN}")
        resampler = soxr.ResampleStream(recording.samplerate, sample_rate, 2, "float64", "HQ")
        # libsndfile guesses the length of an MP3, and does not know that of a FLAC from a pipe.
        guessed = recording.subtype.startswith("MPEG") or recording.frames > ENDLESS
        left = ENDLESS if guessed else recording.frames
        while left and len(block := recording.read(min(BLOCK, left), always_2d=True)):
            left -= len(block)
            if not _peak(block) < LARGEST:  # nor is NaN
                raise AudioError(f"{path} holds NaN or infinite samples: export it again")
            yield resampler.resample_chunk(np.column_stack([block.mean(axis=1), block[:, 0]]))
        if left and not guessed:
            raise AudioError(f"{path} {CUT}")
        yield resampler.resample_chunk(np.empty((0, 2)), last=True)


def _peak(waveform: np.ndarray) -> float:
    return np.abs(waveform).max()


def _fault(data):
    """Say what is wrong with a sound file, as far as its headers tell; None when nothing is."""
    kind, whole = data[:4], True
    if kind in CHUNKS:
        whole = _chunks_are_whole(data)
    elif kind == b".snd":
        start, size = int.from_bytes(data[4:8], "big"), int.from_bytes(data[8:12], "big")
        whole = _is_placeholder(size) or start + size <= len(data)
    elif kind == b"OggS":
        whole = _ogg_is_whole(data)
    elif kind[:3] == b"ID3" or _mp3_frame_length(kind):
        return _mp3_fault(data)
    elif kind != b"fLaC":  # which counts its samples, so that the decoder can tell
        return f"is not WAV, FLAC, Ogg, MP3, AIFF, AU, CAF or W64: {CONVERT}"
    return None if whole else CUT


def _chunks_are_whole(data):
    """Tell whether the chunk of samples ends inside the file; what follows it may be damaged."""
    kind = data[:4]
    position, name_bytes, size_bytes, order, padding = CHUNKS[kind]
    size_in_ds64 = 0
    while position < len(data):
        name = data[position : position + 4]
        start = position + name_bytes + size_bytes
        size = int.from_bytes(data[position + name_bytes : start], order)
        if kind == b"riff":
            size = max(0, size - name_bytes - size_bytes)  # W64 counts the chunk's head as well
        if name == b"ds64":
            size_in_ds64 = int.from_bytes(data[start + 8 : start + 16], order)
        if name in (b"data", b"SSND"):
            if kind == b"RF64" and size == 2**32 - 1:
                size = size_in_ds64
            return _is_placeholder(size) or start + size <= len(data)
        position = start + size + -size % padding
    return position < len(data) + padding  # no samples: libsndfile will say so


def _is_placeholder(size):
    """Tell whether this size was left by a program that wrote to a pipe and could not come back.

    It is 0, or nearly 2³¹, 2³², 2⁶³ or 2⁶⁴, and the sound goes on to the end of the file.
    """
    return size == 0 or any(2**bits - 2**24 <= size <= 2**bits for bits in (31, 32, 63, 64))


def _ogg_is_whole(data):
    """Tell whether the last page is complete and marked as the end of the stream (RFC 3533)."""
    page = data.rfind(b"OggS")
    head = data[page : page + 27]
    if len(head) < 27 or not head[5] & 4:
        return False
    segments = data[page + 27 : page + 27 + head[26]]
    return len(segments) == head[26] and page + 27 + head[26] + sum(segments) <= len(data)


def _mp3_fault(data):
    """Say whether frames are missing; what is not a frame is left to the decoder to judge."""
    position = 0
    while data[position : position + 3] == b"ID3":  # its size is written in 7 bits of each byte
        size = data[position + 6 : position + 10]
        position += 10 + sum(byte << 7 * power for power, byte in enumerate(reversed(size)))
    xing = max(data.find(mark, position, position + 64) for mark in (b"Xing", b"Info"))
    counts_frames = xing >= 0 and int.from_bytes(data[xing + 4 : xing + 8], "big") & 1
    count = int.from_bytes(data[xing + 8 : xing + 12], "big") if counts_frames else 0
    lengths = []
    while length := _mp3_frame_length(data[position : position + 4]):
        position += length
        lengths.append(length)
    rest = data[position : position + 4]
    in_a_frame = position > len(data) or (len(rest) < 4 and rest[:1] == b"\xff")
    if in_a_frame or (not rest and len(lengths) < max(1, count)):
        return CUT
    if not count and lengths and max(lengths) - min(lengths) > 1:  # more than the padding
        return f"has a variable bit rate but no count of its frames: {CONVERT}"
    return None


def _mp3_frame_length(header):
    """Return the bytes of the MPEG layer III frame that these 4 bytes begin; 0 if they do not."""
    bits = int.from_bytes(header.ljust(4, b"\0"), "big")
    version, layer = bits >> 19 & 3, bits >> 17 & 3
    rate, kilobits = bits >> 10 & 3, KILOBITS[version == 3][bits >> 12 & 15]
    if bits >> 21 != 2**11 - 1 or version == 1 or layer != 1 or rate == 3 or not kilobits:
        return 0
    hertz = (44100, 48000, 32000)[rate] // {3: 1, 2: 2, 0: 4}[version]  # MPEG 1, 2 and 2.5
    return (144 if version == 3 else 72) * 1000 * kilobits // hertz + (bits >> 9 & 1)
