"""A position of the knobs is a command and a piece of music, the same ones wherever it is read."""

import shlex
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmc_helpers import (
    cli,
    corpora,
    generation,
    inversion,
    mixtures,
    performance,
    player,
    plots,
    runs,
)
from cmc_helpers.audio import AudioError, read_audio, write_audio
from cmc_helpers.features import extract_features, features_to_amplitudes
from cmc_helpers.files import FileError
from cmc_helpers.performance import read_primer
from cmc_helpers.player import QUICK, Position, read_position, render
from cmc_helpers.sampling import KNOBS, Sampling
from cmc_helpers.vectors import read_csv, write_csv

TEMPERED = Sampling("tempered", 0.8, 0.5, 1.0, "weight")


@pytest.fixture(scope="module")
def run(audio_run):
    return runs.load(audio_run)


@pytest.fixture(scope="module")
def position(audio_run):
    return Position(str(audio_run), TEMPERED, seconds=1.0)


def at(position, **knobs):
    return replace(position, sampling=replace(position.sampling, **knobs))


# --- Where the knobs stand ---

positions = st.builds(
    Position,
    run=st.text("abc /'\"é", min_size=1),
    sampling=st.builds(
        Sampling,
        strategy=st.sampled_from(mixtures.STRATEGIES),
        tau=st.floats(0, 1),
        sigma_scale=st.floats(0, 100),
        pi_temperature=st.floats(0.01, 100),
        form=st.sampled_from(list(mixtures.FORMS)),
        noise=st.sampled_from(mixtures.NOISES),
    ),
    seed=st.integers(0, 2**63),
    seconds=st.floats(*player.SECONDS),
    prime=st.none() | st.sampled_from(["none", "a b.wav"]),
)


@settings(deadline=None)
@given(positions)
def test_a_position_is_read_back_from_its_text(position):
    """But for the knobs that its strategy lets rest: the text is a command, which refuses them."""
    usual = {name: KNOBS[name].default for name in position.sampling.idle()}
    again = read_position(str(position))
    assert again == replace(position, sampling=replace(position.sampling, **usual))
    assert str(again) == str(position)


def test_a_line_from_before_knobs_could_rest_is_read_all_the_same():
    line = "cmc generate bach --strategy exact --tau 0.3 --sigma-scale 0 --pi-temperature 1 "
    line += "--form weight --noise gaussian --seed 1 --seconds 4 -o music.wav"
    assert read_position(line).sampling == Sampling("exact", 0.3, form="weight")
    assert "--tau" not in str(read_position(line)) and "--form" not in str(read_position(line))


def test_a_line_from_before_there_were_residuals_means_gaussian_noise():
    line = str(Position("bach", TEMPERED))
    assert read_position(line.replace(" --noise gaussian", "")) == read_position(line)


def test_a_position_reads_like_a_command():
    assert str(Position("bach", TEMPERED)) == (
        "cmc generate bach --strategy tempered --tau 0.8 --sigma-scale 0.5 --pi-temperature 1 "
        "--form weight --noise gaussian --seed 1 --seconds 4 -o music.wav"
    )
    primed = Position("bach", TEMPERED, prime="singer.flac")
    assert str(primed).endswith("--seconds 4 --prime singer.flac -o music.wav")


@pytest.mark.parametrize("line", ["typed in a terminal", "read back"])
def test_the_line_makes_the_same_music(line, run, position, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if line == "typed in a terminal":
        assert cli.main(shlex.split(str(position))[1:]) == 0
    else:
        again = render(run, read_position(str(position)))
        write_audio("music.wav", again.waveform)
    write_audio("wanted.wav", render(run, position).waveform)
    assert (tmp_path / "music.wav").read_bytes() == (tmp_path / "wanted.wav").read_bytes()


LINE = str(Position("bach", TEMPERED))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "a position of the knobs is a line like: cmc generate bach --strategy …"),
        ("play it again", "is a line like"),
        ("cmc generate", "is a line like"),
        ("cmc train " + LINE[13:], "is a line like"),
        (LINE + " --tau", "is a line like"),
        (LINE + ' "', "is a line like"),
        (LINE.replace(" --seed 1", ""), "--seed is missing: copy the whole line"),
        (LINE.replace("--seed 1", "--seed one"), "--seed is not a number"),
        (LINE.replace("--tau 0.8", "--tau loud"), "--tau is not a number"),
        (LINE.replace("--tau 0.8", "--tau 1.8"), "tau is a number from 0 to 1"),
        (LINE.replace("--tau 0.8", "--tau nan"), "tau is a number from 0 to 1"),
        (LINE.replace("tempered", "loud"), "no strategy 'loud'"),
        (LINE.replace("weight", "heavy"), "no form 'heavy'"),
        (LINE.replace("gaussian", "pink"), "no noise 'pink'"),
        (LINE.replace("--seed 1", "--seed -1"), "a seed is an integer from 0 upwards, not -1"),
        (LINE.replace("--seconds 4", "--seconds 4000"), "from 1 to 30 seconds, not 4000"),
        (LINE.replace("--seconds 4", "--seconds nan"), "from 1 to 30 seconds, not nan"),
        (LINE + " --volume 11", "--volume is no knob of the player"),
        (LINE + " '--a\n\x1bb' 11", r"--a\\n\\x1bb is no knob of the player"),
    ],
)
def test_a_text_that_is_no_position_is_refused_in_a_sentence(text, sentence):
    with pytest.raises(ValueError, match=sentence):
        read_position(text)


# --- What is heard there ---


def test_a_rendering_is_what_was_generated_and_lasts_its_seconds(run, position):
    rendering = render(run, position)
    made = generation.generate(run, 125, seed=1, sampling=position.sampling)
    np.testing.assert_array_equal(rendering.features, made.vectors[0])
    np.testing.assert_array_equal(rendering.components, made.components[0])
    assert rendering.waveform.shape == (8000,)
    assert 0.001 < np.abs(rendering.waveform).max() <= 1


def test_only_the_knob_that_moves_changes_what_is_heard(run, position):
    greedy = render(run, at(position, strategy="greedy", tau=0.3)).waveform
    np.testing.assert_array_equal(
        greedy, render(run, at(position, strategy="greedy", tau=0.9)).waveform
    )
    np.testing.assert_array_equal(greedy, render(run, at(position, tau=0.0)).waveform)
    other = render(run, replace(at(position, strategy="greedy"), seed=2)).waveform
    assert not np.array_equal(greedy, other)


def test_the_quick_inversion_is_worse_by_less_than_a_decibel():
    bach, errors = runs.load(runs.find("bach")), {}
    (features,) = generation.generate(bach, 250, seed=1).vectors
    for name, changes in {"full": {}, "quick": QUICK}.items():
        waveform = inversion.invert_features(features, bach.features, **changes)
        again = extract_features(waveform, bach.features)
        errors[name] = inversion.spectral_convergence(features, again)
    assert errors["full"] <= errors["quick"] < errors["full"] + 1


def test_a_soft_clip_stays_soft(run, position):
    loud = render(run, position).features
    soft = performance.sound(run, loud / 4, 1.0)
    assert np.abs(soft).max() < 0.2 * np.abs(performance.sound(run, loud, 1.0)).max()


def test_the_picture_has_its_words_and_the_sound_its_label(run, position):
    rendering = render(run, position)
    assert rendering.title.endswith("tempered, τ 0.8 of weight, σ × 0.5, T 1, seed 1")
    assert rendering.picture.alt.startswith(rendering.title + ". Above, the spectrogram of 1 s.")
    assert "which of the 3 components each frame came from" in rendering.picture.alt
    assert rendering.sound.label == rendering.title + ", 1 s"
    assert rendering.sound.wav[:4] == b"RIFF" and rendering.picture.png[1:4] == b"PNG"
    assert repr(rendering) == rendering.title


def test_the_flux_of_silence_is_left_out(run, position, monkeypatch):
    drawn = []

    def performance(waveform, components, flux, title, **others):
        drawn.append(flux)
        return new_figure()

    monkeypatch.setattr(plots, "performance", performance)
    rendering = render(run, position)
    rendering.features[50:] *= 1e-4
    assert rendering.picture
    assert np.isfinite(drawn[0][:40]).all() and np.isnan(drawn[0][60:]).all()


# --- What is heard first ---


def test_a_primer_is_a_file_a_sample_nothing_or_the_runs_own(run, tmp_path):
    clip = corpora.sample_path("singer.flac")
    features = extract_features(read_audio(clip, 8000)[-80000:], run.features)
    np.testing.assert_array_equal(read_primer(run, clip), features)
    np.testing.assert_array_equal(read_primer(run, "singer.flac"), features)
    assert len(features) == 1247  # ten seconds
    write_csv(tmp_path / "f.csv", features[:9])
    np.testing.assert_array_equal(
        read_primer(run, tmp_path / "f.csv"), read_csv(tmp_path / "f.csv", 100)
    )
    assert read_primer(run, None) is None and read_primer(run, "none").size == 0


def test_a_file_here_goes_before_a_sample_of_its_name(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_audio("singer.flac", 0.1 * np.sin(np.arange(8000)))
    assert len(read_primer(run, "singer.flac")) == 122


def test_a_primer_that_cannot_be_read_is_named(run, tmp_path):
    (tmp_path / "noise.wav").write_bytes(b"RIFF but no more")
    with pytest.raises(AudioError, match="noise.wav"):
        read_primer(run, tmp_path / "noise.wav")
    for missing in ("no.csv", "no.wav", "../singer.flac", "registry"):
        with pytest.raises(FileError, match=missing):
            read_primer(run, missing)


# --- The mixture at one moment ---


@pytest.fixture(scope="module")
def piece(run):
    return extract_features(read_audio(corpora.sample_path("singer.flac"))[:16000], run.features)


def test_what_is_foreseen_is_what_would_be_generated_from_there(run, piece):
    foreseen = generation.foresee(run, piece)
    assert len(foreseen.scales) == len(piece)
    for step in (0, 40, len(piece) - 1):
        expected = foreseen.candidates(run, step)
        greedy = dict(strategy="greedy", form="weight", sigma_scale=0)
        made = generation.generate(run, 1, primer=piece[: step + 1], **greedy)
        top = foreseen.mixture.log_weights[step].argmax()
        assert made.components[0, 0] == top
        np.testing.assert_allclose(made.vectors[0], expected[top], atol=1e-5)


def test_frames_foreseen_together_are_candidates_together():
    bach = runs.load(runs.find("bach"))
    held = np.load(bach.folder / "held_out.npy")[:42]
    foreseen = generation.foresee(bach, held)
    assert foreseen.mixture.means.shape == (10, 8, 400)
    greedy = dict(strategy="greedy", form="weight", sigma_scale=0, pi_temperature=1)
    made = generation.generate(bach, 4, primer=held[:40], **greedy)
    top = foreseen.mixture.log_weights[9].argmax()
    np.testing.assert_allclose(made.vectors[0], foreseen.candidates(bach, 9)[top], atol=1e-5)
    with pytest.raises(ValueError, match="4 frames are the least to hear, not 3"):
        generation.foresee(bach, held[:3])


def new_figure():
    return plots.new_axes().figure


def test_the_picture_of_a_moment_says_what_is_in_S(run, piece, monkeypatch):
    foreseen = generation.foresee(run, piece)
    for tau, count in ((0, 1), (1, 3)):
        picture = player.moment(run, foreseen, piece, 20, tau, "weight")
        assert picture.alt.startswith(f"After 0.17 s, τ = {tau:.2f} leaves {count} of 3 components")
    top = 1 + foreseen.mixture.log_weights[20].argmax()
    came = []
    monkeypatch.setattr(plots, "mixture", lambda *drawn, **_: came.append(drawn[4]) or new_figure())
    player.moment(run, foreseen, piece, 20, 1)
    np.testing.assert_allclose(came[0], features_to_amplitudes(piece[21], run.features))
    monkeypatch.undo()
    alone = player.moment(run, foreseen, piece, 20, 0, "weight")
    assert f"in S is {top}. Ranked by weight." in alone.alt
    plain = player.moment(run, foreseen, piece, 20).alt
    assert plain.startswith("After 0.17 s: 3 components") and "S" not in plain
    for step in (-1, len(piece) - 1):
        with pytest.raises(ValueError, match=f"after step {step} nothing came"):
            player.moment(run, foreseen, piece, step, 0.5)


def test_a_run_of_vectors_has_no_sound(vectors_run):
    vectors = runs.load(vectors_run)
    with pytest.raises(ValueError, match="^this run makes vectors, which have no sound: write"):
        performance.sound(vectors, vectors.primer, 1.0)
