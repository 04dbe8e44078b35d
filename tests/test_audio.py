"""Recordings ↔ waveforms: every good file is read rightly, every bad one named in one sentence."""

import io
import re
import tracemalloc
import warnings

import numpy as np
import pytest
import soundfile

from cmc_helpers import audio
from cmc_helpers.audio import AudioError, read_audio, set_level, write_audio

WAV, FLAC, MP3 = ("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("MP3", "MPEG_LAYER_III")
VORBIS, OPUS = ("OGG", "VORBIS"), ("OGG", "OPUS")
# Every format and sample type, with the largest deviation that it may show from a clean sine.
FORMATS = {
    ("WAV", "PCM_U8"): 0.01,
    WAV: 1e-4,
    ("WAV", "PCM_24"): 1e-5,
    ("WAV", "PCM_32"): 1e-5,
    ("WAV", "FLOAT"): 1e-5,
    ("WAV", "DOUBLE"): 1e-5,
    ("WAV", "ULAW"): 0.02,
    ("WAVEX", "PCM_24"): 1e-5,
    ("RF64", "PCM_16"): 1e-4,
    ("W64", "PCM_16"): 1e-4,
    ("AIFF", "PCM_16"): 1e-4,
    ("AIFF", "FLOAT"): 1e-5,
    ("AU", "PCM_S8"): 0.01,
    ("AU", "PCM_16"): 1e-4,
    ("CAF", "PCM_16"): 1e-4,
    ("CAF", "ALAC_16"): 1e-4,
    FLAC: 1e-4,
    ("FLAC", "PCM_24"): 1e-5,
    VORBIS: 0.05,
    OPUS: 0.05,
    MP3: 0.05,
}
EDGE = 400  # samples at 8 kHz that resampling and lossy coding may blur at either end


def sine(seconds=1.0, rate=8000, hertz=440, level=0.5):
    return level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def encoded(kind=WAV, waveform=None, rate=8000):
    """The bytes of a sound file: by default one second of A at half of full scale."""
    file = io.BytesIO()
    waveform = sine(rate=rate) if waveform is None else waveform
    soundfile.write(file, waveform, rate, format=kind[0], subtype=kind[1])
    return file.getvalue()


def save(folder, content, name="sound.x"):
    path = folder / name
    path.write_bytes(content)
    return path


def middle_error(waveform, expected):
    """The largest deviation away from both ends."""
    assert waveform.shape == expected.shape
    return np.abs(waveform - expected)[EDGE:-EDGE].max()


# ---------------------------------------------------------------------------- good files


@pytest.mark.parametrize("kind", FORMATS, ids="-".join)
@pytest.mark.parametrize("channels", [1, 2])
def test_every_format_gives_the_same_sine(tmp_path, kind, channels):
    content = encoded(kind, np.tile(sine(rate=48000)[:, None], channels), 48000)
    waveform = read_audio(save(tmp_path, content))
    assert waveform.dtype == np.float64 and waveform.flags.c_contiguous
    assert middle_error(waveform, sine()) < FORMATS[kind]
    assert np.argmax(np.abs(np.fft.rfft(waveform))) == 440  # bins of 1 Hz


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000, 96000, 192000])
def test_resampling_agrees_with_the_sine_in_closed_form(tmp_path, rate):
    path = save(tmp_path, encoded(("WAV", "DOUBLE"), rate=rate))
    assert middle_error(read_audio(path), sine()) < 2e-6
    assert middle_error(read_audio(path, 22050), sine(rate=22050)) < 2e-6


def test_what_8_khz_cannot_hold_does_not_fold_back(tmp_path):
    waveform = sine(rate=48000) + sine(rate=48000, hertz=5000)
    path = save(tmp_path, encoded(("WAV", "DOUBLE"), waveform, 48000))
    assert middle_error(read_audio(path), sine()) < 2e-6


@pytest.mark.parametrize("kind", [WAV, FLAC, ("CAF", "PCM_16")], ids="-".join)
def test_six_channels_are_averaged(tmp_path, kind):
    channels = np.stack([sine(hertz=100 * (1 + n), level=0.1 * n) for n in range(6)], axis=1)
    path = save(tmp_path, encoded(kind, channels))
    np.testing.assert_allclose(read_audio(path), channels.mean(axis=1), atol=1e-4)


def test_float_files_keep_values_beyond_one(tmp_path):
    path = save(tmp_path, encoded(("WAV", "DOUBLE"), sine(level=1e6)))
    np.testing.assert_allclose(read_audio(path), sine(level=1e6), atol=0.1)


@pytest.mark.parametrize("length", [256, 257, 1000, 1151, 1152, 4095, 4097, 65537])
@pytest.mark.parametrize("kind", FORMATS, ids="-".join)
def test_a_whole_file_of_any_length_is_never_called_cut(tmp_path, kind, length):
    assert read_audio(save(tmp_path, encoded(kind, sine(9)[:length]))).size == length


@pytest.mark.parametrize("kind", FORMATS, ids="-".join)
def test_the_size_of_the_blocks_does_not_matter(tmp_path, kind, monkeypatch):
    path = save(tmp_path, encoded(kind, rate=48000))
    whole = read_audio(path)
    monkeypatch.setattr(audio, "BLOCK", 999)
    np.testing.assert_allclose(read_audio(path), whole, atol=1e-12)


def test_reading_twice_gives_the_same_waveform(tmp_path):
    path = save(tmp_path, encoded(VORBIS, rate=44100))
    np.testing.assert_array_equal(read_audio(path), read_audio(path))


def with_size(content, size, *positions):
    """The content with a 32-bit size written over what stands at the positions."""
    for position in positions:
        content = content[:position] + size + content[position + 4 :]
    return content


def flac_of(samples, content):
    """The FLAC file with another number of samples in its STREAMINFO (36 bits from 21.5)."""
    first = content[21] & 0xF0 | samples >> 32
    return content[:21] + bytes([first]) + (samples % 2**32).to_bytes(4, "big") + content[26:]


def mp3_without_count(mode):
    """An MP3 of constant or variable bit rate without its first frame, which counts the others."""
    pytest.importorskip("soundfile", minversion="0.13", reason="bitrate_mode is new")
    file = io.BytesIO()
    options = {"format": "MP3", "bitrate_mode": mode, "compression_level": 0.5}
    soundfile.write(file, sine(rate=44100), 44100, **options)
    return file.getvalue()[audio._mp3_frame_length(file.getvalue()[:4]) :]


ID3V1 = b"TAG" + bytes(125)
ID3V2 = b"ID3\x04\0\0\0\0\x02\x01" + bytes(257)  # 2 · 128 + 1 bytes follow the header
LIST = b"LIST\x1a\0\0\0INFOISFT\x0e\0\0\0Lavf60.16.100\0"
WHOLE = {
    "a list after the samples": lambda: encoded() + LIST,
    "a cut list after the samples": lambda: encoded() + LIST[:-9],
    "a list before the samples": lambda: encoded()[:36] + LIST + encoded()[36:],
    "an odd chunk before the samples": lambda: encoded()[:36] + b"odd \1\0\0\0xx" + encoded()[36:],
    "no padding after an odd length": lambda: encoded(("WAV", "PCM_U8"), sine()[:-1])[:-1],
    "wav from a pipe (ffmpeg)": lambda: with_size(encoded(), b"\xff\xff\xff\xff", 4, 40),
    "wav from a pipe (sox)": lambda: with_size(encoded(), b"\x00\xf0\xff\x7f", 4, 40),
    "wav from a pipe (arecord)": lambda: with_size(encoded(), b"\x00\x00\x00\x80", 4, 40),
    "aiff from a pipe": lambda: with_size(encoded(("AIFF", "PCM_16")), bytes(4), 4, 22, 42),
    "au from a pipe": lambda: with_size(encoded(("AU", "PCM_16")), b"\xff\xff\xff\xff", 8),
    "flac from a pipe": lambda: flac_of(0, encoded(FLAC)),
    "flac with an id3 tag at its end": lambda: encoded(FLAC) + ID3V1,
    "mp3 with an id3 tag at its end": lambda: encoded(MP3) + ID3V1,
    "mp3 with an id3 tag before it": lambda: ID3V2 + encoded(MP3),
    "mp3 without a count of frames": lambda: mp3_without_count("CONSTANT"),
    "ogg with something after it": lambda: encoded(VORBIS) + b"\0" * 100,
}


@pytest.mark.parametrize("name", WHOLE)
def test_unusual_but_whole_files_are_read(tmp_path, name):
    waveform = read_audio(save(tmp_path, WHOLE[name]()))
    assert 7999 <= waveform.size < 8600  # an MP3 without a count keeps its padding
    assert np.abs(waveform).max() == pytest.approx(0.5, abs=0.05)


# ---------------------------------------------------------------------------- bad files


def cut(kind, fraction):
    def build():
        content = encoded(kind)
        return content[: round(fraction * len(content))]

    return build


def swapped(position, new, kind=WAV):
    return lambda: encoded(kind)[:position] + new + encoded(kind)[position + len(new) :]


def changed(value, kind=("WAV", "FLOAT")):
    def build():
        waveform = sine()
        waveform[5000] = value
        return encoded(kind, waveform)

    return build


CUT = "is cut short: "
BROKEN = "is damaged, cut short or in an unknown encoding "
# libsndfile before 1.2.2 says nothing of a FLAC that is cut; then we do.
OTHER = "is not WAV, FLAC, Ogg, MP3"
DAMAGED = {
    "text.wav": (OTHER, lambda: b"Dear diary, today I made music.\n" * 99),
    "text.flac": (OTHER, lambda: b"Dear diary, today I made music.\n" * 99),
    "text.mp3": (OTHER, lambda: b"Dear diary, today I made music.\n" * 99),
    "text.ogg": (OTHER, lambda: b"Dear diary, today I made music.\n" * 99),
    "text.au": (OTHER, lambda: b"Dear diary, today I made music.\n" * 99),
    "text.raw": (OTHER, lambda: b"Dear diary, today I made music.\n" * 99),
    "one_byte.wav": (OTHER, lambda: b"R"),
    "zeros.mp3": (OTHER, lambda: bytes(5000)),
    "noise.gsm": (OTHER, lambda: np.random.default_rng(0).bytes(5000)),
    "photo.wav": (OTHER, lambda: b"\x89PNG\r\n\x1a\n" + bytes(999)),
    "apple.m4a": (OTHER, lambda: b"\0\0\0\x1cftypM4A \0\0\2\0" + bytes(999)),
    "stream.aac": (OTHER, lambda: b"\xff\xf1\x50\x80\x2e\x7f\xfc" + bytes(999)),
    "windows.wma": (OTHER, lambda: bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c") + bytes(99)),
    "sound_named.raw": (BROKEN, encoded),
    "head_only.wav": (CUT, lambda: encoded()[:30]),
    "before_samples.wav": (BROKEN, lambda: encoded()[:36]),
    "cut_in_a_list.wav": (CUT, lambda: encoded()[:36] + LIST[:20]),
    "cut_early.wav": (CUT, cut(WAV, 0.1)),
    "cut.wav": (CUT, cut(WAV, 0.5)),
    "cut_late.wav": (CUT, lambda: encoded()[:-1]),
    "cut_float.wav": (CUT, cut(("WAV", "FLOAT"), 0.5)),
    "cut_adpcm.wav": (CUT, cut(("WAV", "IMA_ADPCM"), 0.5)),
    "cut_rf64.wav": (CUT, cut(("RF64", "PCM_16"), 0.5)),
    "cut.w64": (CUT, cut(("W64", "PCM_16"), 0.5)),
    "cut.aiff": (CUT, cut(("AIFF", "PCM_16"), 0.5)),
    "cut.au": (CUT, cut(("AU", "PCM_16"), 0.5)),
    "cut.caf": (CUT, cut(("CAF", "PCM_16"), 0.5)),
    "cut.flac": (f"{BROKEN}|{CUT}", cut(FLAC, 0.5)),
    "cut_late.flac": (f"{BROKEN}|{CUT}", lambda: encoded(FLAC)[:-1]),
    "cut_of_many_frames.flac": (CUT, lambda: flac_of(9000, encoded(FLAC))),
    "cut.ogg": (CUT, cut(VORBIS, 0.5)),
    "cut_late.ogg": (CUT, lambda: encoded(VORBIS)[:-1]),
    "cut_last_page.ogg": (CUT, lambda: (page := encoded(VORBIS))[: page.rfind(b"OggS")]),
    "cut_in_a_page_head.ogg": (CUT, lambda: (page := encoded(VORBIS))[: page.rfind(b"OggS") + 9]),
    "cut.opus": (CUT, cut(OPUS, 0.5)),
    "cut.mp3": (CUT, cut(MP3, 0.5)),
    "cut_early.mp3": (CUT, cut(MP3, 0.05)),
    "cut_after_a_tag.mp3": (CUT, lambda: (ID3V2 + encoded(MP3))[:-99]),
    "cut_late.mp3": (CUT, lambda: encoded(MP3)[:-1]),
    "cut_without_count.mp3": (CUT, lambda: mp3_without_count("CONSTANT")[:-50]),
    "cut_in_a_frame_head.mp3": (CUT, lambda: mp3_without_count("CONSTANT") + b"\xff\xf3"),
    "cut_between_frames.mp3": (CUT, lambda: between_frames(encoded(MP3))),
    "uncounted.mp3": ("variable bit rate", lambda: mp3_without_count("VARIABLE")),
    "cut_in_a_tag.mp3": (CUT, lambda: ID3V2[:99]),
    "tag_only.mp3": (CUT, lambda: ID3V2),
    "damaged_middle.flac": (BROKEN, swapped(2000, b"?" * 99, FLAC)),
    "damaged_head.ogg": (BROKEN, swapped(40, b"?" * 40, VORBIS)),
    "unknown_codec.wav": (BROKEN, swapped(20, b"\x99\x99")),
    "no_samples.wav": ("holds no samples", lambda: encoded(WAV, [])),
    "no_samples_but_a_list.wav": ("holds no samples", lambda: encoded(WAV, []) + LIST),
    "never_finished.wav": ("holds no samples", lambda: with_size(encoded(), bytes(4), 4, 40)),
    "no_samples.aiff": ("holds no samples", lambda: encoded(("AIFF", "PCM_16"), [])),
    "no_samples.ogg": ("holds no samples", lambda: encoded(VORBIS, [])),
    "short.wav": (r"lasts 31\.9 ms, less than .* 32\.0 ms", lambda: encoded(WAV, sine()[:255])),
    "short.flac": (r"lasts 5\.0 ms", lambda: encoded(FLAC, sine(0.005, 48000), 48000)),
    "nan.wav": ("NaN or infinite", changed(np.nan)),
    "infinite.wav": ("NaN or infinite", changed(np.inf, ("WAV", "DOUBLE"))),
    "infinite.aiff": ("NaN or infinite", changed(-np.inf, ("AIFF", "FLOAT"))),
    "infinite_both_ways.wav": ("NaN or inf", lambda: encoded(("WAV", "FLOAT"), INFINITE_STEREO)),
    "silent.wav": ("is silent", lambda: encoded(WAV, np.zeros(8000))),
    "silent.flac": ("is silent", lambda: encoded(FLAC, np.zeros((8000, 2)))),
    "last_bit.wav": ("is silent", lambda: encoded(WAV, sine(level=2**-15))),
    "silent_below_4_khz.wav": ("is silent", lambda: encoded(WAV, whistle(), 48000)),
    "rate_1.wav": ("claims 1 samples per second", swapped(24, b"\1\0\0\0")),
    "rate_2_ghz.wav": ("claims 2\\d{9} samples per second", swapped(24, b"\0\0\0\x7f")),
    "rate_4_ghz.wav": (BROKEN, swapped(24, b"\xff\xff\xff\xff")),
    "no_channels.wav": (BROKEN, swapped(22, b"\0\0")),
    "too_many_channels.wav": (BROKEN, swapped(22, b"\xff\xff")),
    "claims_2_to_the_36.flac": (CUT, lambda: flac_of(2**36 - 1, encoded(FLAC))),
    "claims_2_gb.aiff": (CUT, lambda: swapped(22, b"\x60\0\0\0", ("AIFF", "PCM_16"))()[:-999]),
}
INFINITE_STEREO = np.tile(sine()[:, None], 2)
INFINITE_STEREO[99] = np.inf, -np.inf


def whistle():
    """A tone that dogs hear: nothing of it is left at 8 kHz, but for its soft beginning and end."""
    return sine(1, 48000, 15000) * np.hanning(48000)


def between_frames(content):
    """The first half of the frames of an MP3."""
    position = 0
    while position < len(content) / 2:
        position += audio._mp3_frame_length(content[position : position + 4])
    return content[:position]


def refusal(path):
    """The sentence that refuses the file, once it is known to be one that helps."""
    with pytest.raises(AudioError) as caught:
        read_audio(path)
    message = str(caught.value)
    assert message.startswith(str(path)) and "\n" not in message
    assert re.search(": (copy|give|record|export|make|check)", message), "no remedy"
    return message


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_refused_in_one_sentence_with_a_remedy(tmp_path, name, capfd):
    reason, build = DAMAGED[name]
    assert re.search(reason, refusal(save(tmp_path, build(), name)))
    assert capfd.readouterr().err == "", "the decoder adds lines of its own"


@pytest.mark.parametrize("name", ["missing.wav", "folder.wav", "empty.wav"])
def test_a_path_without_sound_is_refused(tmp_path, name):
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "empty.wav").touch()
    refusal(tmp_path / name)


@pytest.mark.parametrize("kind", FORMATS, ids="-".join)
def test_a_file_cut_anywhere_is_refused(tmp_path, kind, capfd):
    content = encoded(kind)
    for length in range(1, len(content) - 2, len(content) // 37):
        refusal(save(tmp_path, content[:length]))
    assert capfd.readouterr().err == ""


def test_other_formats_come_with_a_way_to_convert_them(tmp_path):
    path = save(tmp_path, DAMAGED["apple.m4a"][1](), "apple.m4a")
    assert "convert it to WAV or FLAC, for example with ffmpeg -i x.m4a x.wav" in refusal(path)


def test_a_header_that_claims_much_costs_no_memory(tmp_path):
    path = save(tmp_path, flac_of(2**36 - 1, encoded(FLAC)))
    tracemalloc.start()
    refusal(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2e7


def test_quiet_is_not_silent(tmp_path):
    path = save(tmp_path, encoded(("WAV", "FLOAT"), sine(level=1e-4)))
    assert np.abs(read_audio(path)).max() == pytest.approx(1e-4, rel=0.01)


def test_the_shortest_length_can_be_chosen(tmp_path):
    path = save(tmp_path, encoded(WAV, sine()[:100]))
    assert read_audio(path, min_samples=100).size == 100


@pytest.mark.parametrize("kind", [WAV, FLAC, VORBIS, ("WAV", "FLOAT")], ids="-".join)
def test_channels_that_cancel_are_warned_of_and_the_first_is_used(tmp_path, kind):
    path = save(tmp_path, encoded(kind, np.stack([sine(), -sine()], axis=1)), "phase.x")
    with pytest.warns(UserWarning, match="phase.x has channels that cancel .*: flip") as caught:
        waveform = read_audio(path)
    assert middle_error(waveform, sine()) < FORMATS[kind]
    assert caught[0].filename == __file__


def test_ordinary_stereo_is_not_warned_of(tmp_path):
    hard_left = np.stack([sine(), np.zeros(8000)], axis=1)
    hard_right = hard_left[:, ::-1]
    wide = np.stack([sine(), sine(hertz=441)], axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for channels in (hard_left, hard_right, wide):
            path = save(tmp_path, encoded(WAV, channels))
            np.testing.assert_allclose(read_audio(path), channels.mean(axis=1), atol=1e-4)


# ---------------------------------------------------------------------------- writing


@pytest.mark.parametrize(("suffix", "tolerance"), [(".wav", 4e-5), (".flac", 4e-5), (".ogg", 0.05)])
@pytest.mark.parametrize("rate", [8000, 44100])
def test_what_is_written_reads_back(tmp_path, suffix, tolerance, rate):
    path = tmp_path / f"sound{suffix}"
    write_audio(path, sine(rate=rate), rate)
    assert middle_error(read_audio(path, rate), sine(rate=rate)) < tolerance
    assert soundfile.info(path).samplerate == rate
    assert list(tmp_path.iterdir()) == [path]


def test_full_scale_does_not_wrap_around(tmp_path):
    path = tmp_path / "sound.wav"
    write_audio(path, sine(level=1, hertz=1000))
    assert middle_error(read_audio(path), sine(level=1, hertz=1000)) < 4e-5


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_the_same_waveform_gives_the_same_bytes(tmp_path, suffix):
    for name in "ab":
        write_audio(tmp_path / f"{name}{suffix}", sine())
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_a_waveform_beyond_one_is_scaled_down_with_a_warning(tmp_path):
    path = tmp_path / "loud.wav"
    with pytest.warns(UserWarning, match="loud.wav is scaled down from a peak of 2 to 1"):
        write_audio(path, sine(level=2, hertz=1000))
    assert middle_error(read_audio(path), sine(level=1, hertz=1000)) < 4e-5


def test_a_long_ogg_does_not_crash_the_encoder(tmp_path):
    write_audio(tmp_path / "long.ogg", np.zeros(3_000_000))
    assert soundfile.info(tmp_path / "long.ogg").frames == 3_000_000


@pytest.mark.parametrize(
    ("name", "waveform", "rate"),
    [
        ("nan.wav", [0, np.nan], 8000),
        ("infinite.ogg", [0, np.inf], 8000),
        ("empty.flac", [], 8000),
        ("stereo.wav", np.zeros((9, 2)), 8000),
        ("sound.mp3", np.zeros(9), 8000),
        ("sound", np.zeros(9), 8000),
        ("missing/sound.wav", np.zeros(9), 8000),
        ("rate.ogg", np.zeros(9), 300_000),
    ],
)
def test_what_cannot_be_written_is_refused_and_leaves_nothing(tmp_path, name, waveform, rate):
    with pytest.raises(AudioError) as caught:
        write_audio(tmp_path / name, waveform, rate)
    message = str(caught.value)
    assert message.startswith(str(tmp_path / name)) and "\n" not in message
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("missing", ["sys.stderr", "descriptor"])
def test_sound_is_read_where_there_is_no_standard_error(tmp_path, monkeypatch, missing):
    """pythonw has neither; IDLE has a window in place of the file descriptor."""

    def closed(descriptor):
        raise OSError(9, "Bad file descriptor")

    write_audio(tmp_path / "a.wav", seconds_of_noise(1, -20))
    if missing == "sys.stderr":
        monkeypatch.setattr("sys.stderr", None)
    else:
        monkeypatch.setattr("os.dup", closed)
    assert len(read_audio(tmp_path / "a.wav")) == 8000


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
def test_a_disk_that_is_full_at_the_very_end_keeps_the_older_file(tmp_path, suffix):
    path, noise = tmp_path / f"sound.{suffix}", seconds_of_noise(2, -20)
    write_audio(path, noise)
    size = path.stat().st_size
    path.write_text("older")
    resource = pytest.importorskip("resource", reason="this system limits no process")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size - 9, before[1]))
        with pytest.raises(AudioError, match="cannot be written: .* make room"):
            write_audio(path, noise)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]


def seconds_of_noise(seconds, level, seed=0):
    """White noise whose mean power is `level` dBFS."""
    noise = np.random.default_rng(seed).normal(size=round(8000 * seconds))
    return 10 ** (level / 20) * noise / np.sqrt(np.mean(noise**2))


@pytest.mark.parametrize("level", [-50, -30, -20])
def test_level_is_set_by_one_gain(level):
    x = seconds_of_noise(4, level)
    y = set_level(x)
    np.testing.assert_allclose(y / x, y[0] / x[0])
    assert abs(10 * np.log10(np.mean(y**2)) + 20) < 0.1


def test_pauses_do_not_count_for_the_level():
    x = seconds_of_noise(4, -30)
    with_pause = np.concatenate([x, np.zeros(8 * 8000), x])
    np.testing.assert_allclose(set_level(with_pause)[: len(x)], set_level(x), rtol=1e-3)


def test_a_soft_continuation_of_a_loud_primer_stays_soft():
    primer, made = seconds_of_noise(2, -30), seconds_of_noise(4, -45, seed=1)
    level = 10 * np.log10(np.mean(set_level(made, like=primer) ** 2))
    assert abs(level + 35) < 0.1  # 15 dB below the primer's -20, as it was made


def test_the_peak_stays_below_1_and_silence_silent():
    click = np.eye(1, 8000, 4000)[0] * 0.5 + seconds_of_noise(1, -60)
    assert np.abs(set_level(click)).max() == pytest.approx(1)
    np.testing.assert_array_equal(set_level(np.zeros(8000)), 0)
    np.testing.assert_array_equal(
        set_level(seconds_of_noise(1, -30), like=np.zeros(8000)), seconds_of_noise(1, -30)
    )
    faint = seconds_of_noise(1, -150)
    assert 20 * np.log10(np.abs(set_level(faint)).max() / np.abs(faint).max()) < 40.1
    assert len(set_level(seconds_of_noise(0.01, -30))) == 80  # less than a block
