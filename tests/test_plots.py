"""Pictures show what they claim: levels, frequencies and times are read back from the axes."""

import subprocess
import sys
import zlib
from pathlib import Path

import matplotlib.image
import matplotlib.pyplot as plt
import numpy as np
import pytest

from cmc_helpers import plots
from cmc_helpers.features import GROUP_WIDTHS, FeatureConfig, extract_features

ROOT = Path(__file__).parent.parent


def tone(frequency=1000, seconds=1.0, sample_rate=8000, amplitude=1.0):
    t = np.arange(int(seconds * sample_rate)) / sample_rate
    return amplitude * np.sin(2 * np.pi * frequency * t)


def rows(ax):
    """The levels an image holds, (rows, T), and the value on the y axis of each row's middle."""
    (image,) = ax.images
    assert image.origin == "lower"
    _, _, bottom, top = image.get_extent()
    levels = np.asarray(image.get_array())
    edges = np.linspace(bottom, top, len(levels) + 1)
    return levels, (edges[1:] + edges[:-1]) / 2


def test_a_tone_is_a_line_at_its_frequency():
    ax = plots.spectrogram(tone(1000), "A line")
    levels, kilohertz = rows(ax)
    assert np.allclose(kilohertz[levels.argmax(axis=0)], 1.0, atol=0.01)
    assert ax.get_xlabel() == "time (s)"
    assert ax.get_ylabel() == "frequency (kHz)"
    assert ax.get_title() == "A line"


@pytest.mark.parametrize("sample_rate", [8000, 22050, 44100])
def test_frequency_and_time_hold_at_every_sample_rate(sample_rate):
    ax = plots.spectrogram(tone(3000, 2.0, sample_rate), "A line", sample_rate=sample_rate)
    levels, kilohertz = rows(ax)
    assert kilohertz[levels[:, 50].argmax()] == pytest.approx(3.0, abs=0.02)
    assert ax.images[0].get_extent()[1] == pytest.approx(2.0, abs=0.04)


def test_half_the_amplitude_is_six_decibels_down_on_a_common_reference():
    reference = plots._magnitudes(tone(), 8000).max()
    levels, _ = rows(plots.spectrogram(tone(amplitude=0.5), "Quieter", reference=reference))
    assert levels.max() == pytest.approx(-6.02, abs=0.01)


def test_magnitudes_and_their_waveform_look_the_same():
    magnitudes = plots._magnitudes(tone(), 8000)
    levels, _ = rows(plots.spectrogram(magnitudes, "Given"))
    assert np.array_equal(levels, rows(plots.spectrogram(tone(), "Computed"))[0])


@pytest.mark.parametrize("sound", [np.zeros(8000), np.zeros(1), np.zeros((5, 257))])
def test_silence_lies_at_the_bottom_without_a_warning(sound, recwarn):
    levels, _ = rows(plots.spectrogram(sound, "Silence"))
    assert np.all(levels == -60)
    assert not recwarn.list


def test_sound_shorter_than_a_window_is_one_frame():
    assert rows(plots.spectrogram(tone()[:100], "A click"))[0].shape[1] == 1


@pytest.mark.parametrize("preset", ["paper", "default"])
def test_features_are_named_by_their_lowest_frequency(preset):
    config = FeatureConfig.preset(preset)
    features = extract_features(tone(1000), config)
    ax = plots.feature_image(features, "A line", compression=config.compression)
    levels, numbers = rows(ax)
    assert np.array_equal(numbers, np.arange(100))
    texts = [label.get_text() for label in ax.get_yticklabels()]
    labels = dict(zip(ax.get_yticks(), texts, strict=True))
    assert labels[levels[:, 10].argmax()] == "48: 1000 Hz"
    for row, label in labels.items():
        assert label == f"{row}: {GROUP_WIDTHS[:row].sum() * 8000 / 512:.0f} Hz"


def test_compressed_features_show_the_levels_of_their_amplitudes():
    amplitudes = extract_features(tone(), FeatureConfig.preset("paper"))
    roots = plots.feature_image(np.sqrt(amplitudes), "Roots", compression=0.5)
    assert np.allclose(rows(roots)[0], rows(plots.feature_image(amplitudes, "Plain"))[0], atol=1e-4)


def test_normalised_features_keep_their_sign():
    features = np.random.default_rng(0).normal(size=(50, 100))
    levels, _ = rows(plots.feature_image(features, "Noise", decibels=None))
    assert np.array_equal(levels, features.T)


def test_magnitudes_are_drawn_in_cividis_with_a_labelled_scale():
    for ax in (
        plots.spectrogram(tone(), "A line"),
        plots.feature_image(np.ones((5, 100)), "Flat"),
    ):
        assert ax.images[0].get_cmap().name == "cividis"
        assert ax.images[0].colorbar.ax.get_ylabel() == "level (dB)"


def test_a_waveform_lasts_its_seconds():
    ax = plots.waveform(tone(seconds=0.5), "Half a second")
    assert ax.lines[0].get_xdata()[-1] == pytest.approx(0.5, abs=1e-3)
    assert ax.get_xlabel() == "time (s)"


def test_curves_differ_in_colour_and_in_line_style():
    x = np.geomspace(10, 1000, 5)
    y = {name: x for name in "abcd"}
    ax = plots.curves(x, y, "Four", xlabel="frequency (Hz)", ylabel="gain (dB)", log_x=True)
    assert len({line.get_color() for line in ax.lines}) == 4
    assert len({line.get_linestyle() for line in ax.lines}) == 4
    assert ax.get_xscale() == "log"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == list("abcd")
    with pytest.raises(ValueError):
        plots.curves(x, y | {"e": x}, "Five", xlabel="", ylabel="")


class History:
    """What Keras returns from `fit`."""

    history = {"loss": [3.0, 2.0, 1.0], "val_loss": [3.0, 2.5, 2.7]}


@pytest.mark.parametrize(
    ("history", "epoch", "loss"),
    [
        (History(), 2, 2.5),
        (History.history, 2, 2.5),
        ({"loss": [3.0, -2.0, -1.0]}, 2, -2.0),
        ({"loss": [1.0, 1.0, 1.0], "val_loss": [2.0, np.nan, 1.5]}, 3, 1.5),
    ],
)
def test_the_best_epoch_is_marked(history, epoch, loss):
    ax = plots.learning_curve(history, "It overfits after epoch 2")
    *drawn, mark = ax.lines
    assert [mark.get_xdata(), mark.get_ydata()] == [[epoch], [loss]]
    assert f"epoch {epoch}" in mark.get_label()
    assert drawn[0].get_xdata()[0] == 1
    assert len({line.get_linestyle() for line in drawn}) == len(drawn)


def test_compared_sounds_share_one_scale_of_level_and_time():
    figure = plots.compare({"loud": tone(), "quiet": tone(1000, 0.5, 8000, 0.1)}, "20 dB less")
    loud, quiet = (ax for ax in figure.axes if ax.images)
    assert rows(loud)[0].max() - rows(quiet)[0].max() == pytest.approx(20, abs=0.01)
    assert loud.images[0].get_clim() == quiet.images[0].get_clim()
    assert loud.get_xlim() == quiet.get_xlim()
    assert [loud.get_title(), quiet.get_title()] == ["loud", "quiet"]


def test_every_function_draws_into_the_axes_it_is_given():
    figure, ax = plt.subplots()
    assert plots.waveform(tone(), "Here", ax=ax) is ax
    assert plots.spectrogram(tone(), "Here", ax=ax) is ax
    assert plots.feature_image(np.ones((5, 100)), "Here", ax=ax) is ax
    assert plots.curves([1, 2], {"a": [1, 2]}, "Here", xlabel="", ylabel="", ax=ax) is ax
    assert plots.learning_curve({"loss": [1]}, "Here", ax=ax) is ax
    plt.close(figure)


def chunks(png):
    """The names of a PNG's chunks, after a check that each is whole."""
    position, names = 8, []
    while position < len(png):
        size = int.from_bytes(png[position : position + 4])
        name, body = png[position + 4 : position + 8], png[position + 8 : position + 8 + size]
        assert zlib.crc32(name + body) == int.from_bytes(png[position + 8 + size :][:4])
        names.append(name.decode())
        position += 12 + size
    return names


@pytest.mark.slow
def test_a_picture_is_the_same_bytes_each_time_and_names_no_program():
    first, second = (
        plots.figure_with_alt(plots.spectrogram(tone(), "A line"), "A line at 1 kHz")
        for _ in range(2)
    )
    assert first.png == second.png
    assert set(chunks(first.png)) <= {"IHDR", "PLTE", "pHYs", "IDAT", "IEND"}


def test_a_picture_is_opaque_and_white_behind_the_axes(tmp_path):
    with plt.rc_context({"figure.facecolor": "black", "savefig.transparent": False}):
        picture = plots.figure_with_alt(plots.waveform(tone(), "A tone"), "A tone")
    (tmp_path / "picture.png").write_bytes(picture.png)
    pixels = matplotlib.image.imread(tmp_path / "picture.png")
    assert np.all(pixels[[0, -1], :, :3] == 1)
    assert pixels.shape[2] == 3 or np.all(pixels[..., 3] == 1)


def test_a_picture_carries_its_words_for_every_reader(monkeypatch):
    shown = []

    def display(data, metadata=None, raw=False):
        shown.append((data, metadata))

    monkeypatch.setattr("IPython.display.display", display)
    picture = plots.figure_with_alt(plots.waveform(tone(), "A tone"), "A <tone> of 1 s")
    assert repr(picture) == "A <tone> of 1 s"
    picture._ipython_display_()
    (image, metadata), (text, _) = shown
    assert image["text/plain"] == metadata["image/png"]["alt"] == "A <tone> of 1 s"
    assert "A &lt;tone&gt; of 1 s" in text["text/html"]


def test_a_picture_without_words_is_refused():
    with pytest.raises(ValueError, match="say in `alt` what is to be seen"):
        plots.figure_with_alt(plots.waveform(tone(), "A tone"), " ")


def test_a_pyplot_figure_is_closed_so_that_it_is_not_shown_twice():
    figure, ax = plt.subplots()
    plots.figure_with_alt(ax, "Empty axes")
    assert not plt.fignum_exists(figure.number)


def test_importing_the_module_does_not_wait_for_matplotlib():
    code = "import sys, cmc_helpers.plots; print({'matplotlib', 'IPython'} & sys.modules.keys())"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert result.stdout == "set()\n", result.stderr


def test_a_piano_roll_shows_each_note_from_its_start_to_shortly_before_its_end():
    from cmc_helpers.scores.symbolic import GridNote

    rolls = {"one": [GridNote(0, 4, 60), GridNote(8, 2, 72)], "two": [GridNote(4, 4, 48)]}
    figure = plots.piano_roll(rolls, "Two panels", steps_per_second=4)
    bars = [
        (b.get_x(), b.get_width(), b.get_y() + b.get_height() / 2)
        for ax in figure.axes
        for b in ax.patches
    ]
    np.testing.assert_allclose(bars, [(0, 0.92, 60), (2, 0.46, 72), (1, 0.92, 48)])
    assert [ax.get_title() for ax in figure.axes] == ["one", "two"]
    assert figure.axes[0].get_xlim() == figure.axes[1].get_xlim()
    assert figure.axes[1].get_xlabel() == "time (s)"
