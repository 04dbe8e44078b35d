"""Notes, tokens and MIDI: what is written is read back, and what is chosen follows the numbers."""

import json
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from notebook_rules import ROOT

from cmc_helpers.corpora.samples import samples_folder
from cmc_helpers.scores import Event, ScoreError, bach, performing, symbolic
from cmc_helpers.scores.symbolic import (
    END,
    RELEASE,
    STEP,
    STRIKE,
    VOCABULARY,
    GridNote,
    SymbolicError,
    decode,
    encode,
    on_the_grid,
)

TOKENS = st.lists(st.integers(0, VOCABULARY - 1), max_size=60)
EVENTS = st.lists(
    st.builds(
        Event,
        st.integers(0, 3),
        st.floats(0, 20),
        st.floats(0.01, 8),
        st.integers(21, 108),
        st.just(1.0),
    ),
    max_size=40,
)
PATIENT = settings(deadline=None)
SLOW = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


def strike(pitch):
    return STRIKE + pitch - 21


def release(pitch):
    return RELEASE + pitch - 21


@pytest.fixture(scope="module")
def chorales():
    return symbolic.load_chorales()


@pytest.fixture(scope="module")
def shipped():
    return symbolic.load()


# ------------------------------------------------------------------------------ notes ↔ tokens


@PATIENT
@given(EVENTS)
def test_notes_on_the_grid_come_back_from_their_tokens(events):
    notes = on_the_grid(events)
    assert decode(encode(notes)) == notes


@PATIENT
@given(TOKENS)
def test_any_text_is_notes_and_those_come_back(tokens):
    notes = decode(tokens)
    assert notes == sorted(notes)
    assert decode(encode(notes)) == notes
    for note in notes:
        for other in notes:
            if other.pitch == note.pitch and other != note:
                assert other.start >= note.start + note.length or other.start < note.start


@PATIENT
@given(EVENTS)
def test_on_the_grid_every_event_sounds_and_is_moved_by_half_a_sixteenth_at_most(events):
    notes = on_the_grid(events)
    sounding = {
        (note.pitch, t) for note in notes for t in range(note.start, note.start + note.length)
    }
    struck = {(note.pitch, note.start) for note in notes}
    for event in events:
        start, stop = 4 * event.start, 4 * (event.start + event.length)
        assert any(
            (event.pitch, t) in struck
            for t in range(int(start) - 1, int(start) + 3)
            if abs(t - start) <= 0.5
        )
        inside = range(int(np.ceil(start + 0.5)), int(np.floor(stop - 0.5)))
        assert all((event.pitch, t) in sounding for t in inside)


def test_two_voices_on_one_key_are_one_stroke_as_long_as_the_longer():
    events = [Event(0, 0, 1, 60, 1), Event(1, 0, 2, 60, 1), Event(2, 1, 0.5, 60, 1)]
    assert on_the_grid(events) == [GridNote(0, 4, 60), GridNote(4, 4, 60)]


def test_the_text_of_a_small_score_is_as_the_notebook_says():
    notes = [GridNote(0, 2, 60), GridNote(0, 1, 64), GridNote(1, 1, 64)]
    text = [strike(64), strike(60), STEP, release(64), strike(64), STEP, release(64), release(60)]
    assert encode(sorted(notes)).tolist() == text
    assert symbolic.spell([*text, END]) == "↓E4 ↓C4 · ↑E4 ↓E4 · ↑E4 ↑C4 |"


def test_a_text_that_forgets_to_let_go_ends_all_the_same():
    text = [strike(60), STEP, strike(60), STEP, release(72), END, STEP, strike(64), strike(65)]
    assert decode([*text, release(65)]) == [GridNote(0, 1, 60), GridNote(1, 1, 60)]
    assert decode([*text, STEP]) == [
        *(GridNote(0, 1, 60), GridNote(1, 1, 60)),
        *(GridNote(3, 1, 64), GridNote(3, 1, 65)),
    ]


@pytest.mark.parametrize("token", [-1, VOCABULARY, 255])
def test_a_number_that_is_no_token_is_refused(token):
    with pytest.raises(ValueError, match=f"^{token} is no token: they are 0 to 177$"):
        decode([STEP, token])


@pytest.mark.parametrize("note", [(-1, 1, 60), (0, 0, 60), (0, 1, 20), (0, 1, 109)])
def test_a_note_that_no_piano_has_is_refused(note):
    with pytest.raises(ValueError, match="is not on the grid: give a start from 0"):
        GridNote(*note)


@PATIENT
@given(EVENTS, st.integers(-12, 12))
def test_transposing_moves_every_note_and_nothing_else(events, semitones):
    notes = on_the_grid(events)
    assume(all(21 <= note.pitch + semitones <= 108 for note in notes))
    moved = decode(symbolic.transpose(encode(notes), semitones))
    assert moved == [GridNote(n.start, n.length, n.pitch + semitones) for n in notes]


def test_transposing_off_the_piano_is_refused():
    for pitch, semitones in ((108, 1), (21, -1)):
        with pytest.raises(ValueError, match="move a note off the piano"):
            symbolic.transpose(encode([GridNote(0, 1, pitch)]), semitones)


# ------------------------------------------------------------------------------ files


@pytest.mark.slow
@SLOW
@given(EVENTS)
def test_midi_is_read_back_as_it_was_written(tmp_path_factory, events):
    notes = on_the_grid(events)
    assume(notes)
    path = tmp_path_factory.mktemp("midi") / "notes.mid"
    symbolic.write_midi(path, notes)
    assert symbolic.read(path) == notes


def test_midi_carries_the_tempo_and_the_same_notes_give_the_same_bytes(tmp_path):
    from music21 import midi

    for name in ("one.mid", "two.mid"):
        symbolic.write_midi(tmp_path / name, [GridNote(0, 4, 60)], quarters_per_minute=100)
    data = (tmp_path / "one.mid").read_bytes()
    assert data == (tmp_path / "two.mid").read_bytes()
    file = midi.MidiFile()
    file.readstr(data)
    kinds = [event.type for track in file.tracks for event in track.events]
    assert midi.MetaEvents.SET_TEMPO in kinds
    assert b"\xff\x51\x03" + (600_000).to_bytes(3, "big") in data  # microseconds a quarter


def test_drums_are_no_pitches(tmp_path):
    def track(channel, pitch):
        note = bytes([0, 0x90 | channel, pitch, 90, 96, 0x80 | channel, pitch, 0])
        body = note + b"\x00\xff\x2f\x00"
        return b"MTrk" + len(body).to_bytes(4, "big") + body

    header = b"MThd" + (6).to_bytes(4, "big") + b"\x00\x01\x00\x02\x00\x60"
    (tmp_path / "band.mid").write_bytes(header + track(0, 60) + track(9, 38))
    assert symbolic.read(tmp_path / "band.mid") == [GridNote(0, 4, 60)]


def test_musicxml_and_kern_are_read_as_well(tmp_path, chorales):
    from music21 import corpus

    (path,) = [p for p in corpus.getComposer("bach") if p.name == "bwv269.mxl"]
    np.testing.assert_array_equal(encode(symbolic.read(path)), chorales[0]["bwv269"])
    (tmp_path / "one.krn").write_text("**kern\n*M4/4\n4c\n8d\n*-\n")
    assert symbolic.read(tmp_path / "one.krn") == [GridNote(0, 4, 60), GridNote(4, 2, 62)]


@pytest.mark.parametrize("content", [b"MThd", b"MThd\x00\x00\x00\x06\x00\x01", b"no score"])
def test_a_damaged_score_is_refused_in_a_sentence(tmp_path, content):
    (tmp_path / "bad.mid").write_bytes(content)
    with pytest.raises(ScoreError, match="bad.mid cannot be read as") as caught:
        symbolic.read(tmp_path / "bad.mid")
    assert "\n" not in str(caught.value)


# ------------------------------------------------------------------------------ the chorales


def test_the_chorales_are_those_of_the_corpus_of_sound_and_every_tenth_is_held_out(chorales):
    names = [source.name for source in bach.sources(None)]
    train, validation = chorales
    assert list(validation) == names[9::10] and set(train) == set(names) - set(validation)


@pytest.mark.slow
def test_every_chorale_is_a_text_that_encode_would_write(chorales):
    for part in chorales:
        for name, text in part.items():
            np.testing.assert_array_equal(encode(decode(text)), text, name)
            assert END not in text


@pytest.mark.slow
def test_the_chorales_are_what_the_command_makes(chorales, monkeypatch):
    monkeypatch.syspath_prepend(samples_folder())
    import make_chorales

    train = chorales[0]
    sources = [source for source in bach.sources(None)[::100] if source.name in train]
    for source in sources:
        notes = symbolic.read(source.path)
        np.testing.assert_array_equal(encode(notes), train[source.name])
    assert make_chorales.off_the_grid(Event(0, 0.125, 1, 60, 1))
    assert not make_chorales.off_the_grid(Event(0, 0.25, 1.75, 60, 1))
    for name in ("make_chorales", "make_samples", "scores"):
        sys.modules.pop(name, None)


def test_windows_hold_every_token_once_and_targets_come_one_later():
    texts = [encode([GridNote(0, 3, 60 + n)]) for n in range(9)]
    inputs, targets = symbolic.windows(texts, 7)
    row = np.concatenate([[END], *[[*text, END] for text in texts]])
    np.testing.assert_array_equal(inputs.ravel(), row[: inputs.size])
    np.testing.assert_array_equal(targets.ravel(), row[1 : inputs.size + 1])
    assert len(row) - inputs.size <= 7 and inputs.shape[1] == 7


def test_windows_are_shuffled_and_moved_by_the_generator_only():
    texts = [encode([GridNote(0, 3, 60 + n)]) for n in range(9)]
    one, two, other = (
        symbolic.windows(texts, 7, np.random.default_rng(seed), 3)[0] for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, two)
    assert one.shape != other.shape or (one != other).any()
    moved = symbolic.windows([texts[0]] * 50, 7, np.random.default_rng(0), 3)[0]
    assert {note.pitch for note in decode(moved.ravel())} == set(range(57, 64))


# ------------------------------------------------------------------------------ the network


@pytest.mark.keras
def test_the_numpy_network_is_the_keras_network(tmp_path):
    from cmc_helpers import networks
    from cmc_helpers.notebook import set_seed

    set_seed(3)
    model = symbolic.build(layers=2, units=12, embedding=6)
    network = symbolic.InNumPy(networks.weights(model))
    text = np.random.default_rng(0).integers(0, VOCABULARY, 20)
    logits, states = model.predict(text[None], verbose=0)[0], network.zero_states()
    for token, wanted in zip(text, logits, strict=True):
        found, states = network.step(token, states)
        np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert network.parameters == model.count_params()

    full = model.predict(np.array([[END, *text]]), verbose=0)[0].astype(float)
    row = np.array([*text, END])
    wanted = np.log(np.exp(full).sum(axis=1)) - full[np.arange(21), row]
    np.testing.assert_allclose(network.surprises(text), wanted, atol=1e-5)

    symbolic.save(tmp_path / "w.npz", networks.weights(model))
    again = symbolic.load(tmp_path / "w.npz")
    np.testing.assert_allclose(again.surprises(text), wanted, atol=0.02)  # 16 bits


def test_a_network_without_knowledge_is_surprised_by_ln_v():
    weights = {
        "embedding": [np.zeros((VOCABULARY, 2))],
        "lstm_1": [np.zeros((2, 12)), np.zeros((3, 12)), np.zeros(12)],
        "project": [np.zeros((3, VOCABULARY)), np.zeros(VOCABULARY)],
    }
    network = symbolic.InNumPy(weights)
    np.testing.assert_allclose(network.surprises([5, 1, 1]), np.log(VOCABULARY))


@PATIENT
@given(
    st.lists(st.floats(-30, 30), min_size=2, max_size=9),
    st.floats(0.1, 5),
    st.floats(0, 1, exclude_min=True),
)
def test_the_choice_is_where_the_cumulative_shares_reach_the_random_number(logits, T, uniform):
    from scipy.special import softmax

    shares = np.cumsum(softmax(np.array(logits) / T))
    chosen = symbolic.choose(logits, T, uniform)
    assert shares[chosen] >= uniform * shares[-1] - 1e-9
    assert chosen == 0 or shares[chosen - 1] < uniform * shares[-1] + 1e-9


def test_temperature_nought_is_the_likeliest_and_the_limit_of_cold():
    logits = np.array([0.0, 3.0, 2.9, -500.0])
    for uniform in (1e-9, 0.5, 1.0):
        assert symbolic.choose(logits, 0, uniform) == 1
        assert symbolic.choose(logits, 1e-3, uniform) == 1
    counts = {symbolic.choose(logits, 1e6, u) for u in np.linspace(0.01, 1, 50)}
    assert counts == {0, 1, 2, 3}


def test_writing_lasts_as_long_as_asked_and_follows_the_seed(shipped):
    one = symbolic.generate(shipped, 32, 1.0, seed=4)
    assert np.count_nonzero(one == STEP) == 32 and one[-1] == STEP
    np.testing.assert_array_equal(one, symbolic.generate(shipped, 32, 1.0, seed=4))
    longer = symbolic.generate(shipped, 48, 1.0, seed=4)
    np.testing.assert_array_equal(longer[: len(one)], one)
    assert not np.array_equal(one, symbolic.generate(shipped, 32, 1.0, seed=5)[: len(one)])


def test_a_primer_is_gone_on_with(shipped, chorales):
    text = chorales[1]["bwv345"]
    told = symbolic.generate(shipped, 4, 0, primer=text[:100])
    assert not np.array_equal(told, symbolic.generate(shipped, 4, 0, primer=text[:60]))


def test_time_passes_even_for_a_network_that_never_lets_it():
    weights = {
        "embedding": [np.zeros((VOCABULARY, 2))],
        "lstm_1": [np.zeros((2, 12)), np.zeros((3, 12)), np.zeros(12)],
        "project": [np.zeros((3, VOCABULARY)), np.eye(VOCABULARY)[strike(60)]],
    }
    text = symbolic.generate(symbolic.InNumPy(weights), 3, 0)
    assert np.count_nonzero(text == STEP) == 3 and len(text) < 3 * 70
    assert {note.pitch for note in decode(text)} == {60}


@pytest.mark.parametrize("wrong", [dict(temperature=-1), dict(steps=0), dict(seed=-1)])
def test_senseless_settings_are_a_sentence(shipped, wrong):
    with pytest.raises(ValueError, match="will not do: give a temperature"):
        symbolic.generate(shipped, **dict(steps=4) | wrong)
    with pytest.raises(ValueError, match="will not do"):
        symbolic.generate(shipped, 4, float("nan"))


def test_the_shipped_network_knows_held_out_music_as_well_as_its_card_says(shipped, chorales):
    results = json.loads(
        (ROOT / "tools" / "experiments" / "symbolic_music.json").read_text("utf-8")
    )
    guesses = results["nats_per_token"]
    assert guesses["network"] < guesses["which follows which"] / 1.5
    assert results["network"]["parameters"] == shipped.parameters
    surprises = np.concatenate([shipped.surprises(chorales[1][n]) for n in ("bwv345", "bwv433")])
    assert surprises.mean() == pytest.approx(guesses["network"], rel=0.25)
    card = (samples_folder() / "symbolic" / "README.md").read_text("utf-8")
    assert f"| network | {guesses['network']} |" in card


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"text"])
def test_damaged_weights_are_a_sentence(tmp_path, content):
    (tmp_path / "w.npz").write_bytes(content)
    with pytest.raises(SymbolicError, match="w.npz is") as caught:
        symbolic.load(tmp_path / "w.npz")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"embedding.0": np.zeros((VOCABULARY, 3), int)},
        {"embedding.0": np.full((VOCABULARY, 3), np.nan)},
        {"embedding.0": np.zeros((2, 3))},
        {"embedding.0": np.zeros(())},
        {"lstm_1.1": np.zeros((2, 9))},
        {"lstm_1.2": np.zeros(())},
        {"lstm_2.0": np.zeros((2, 8))},
        {"project.1": np.zeros(7)},
        {"other.0": np.zeros(7)},
        {"project.1": np.array([{}])},
    ],
    ids=lambda changes: f"{changes!r:.30}",
)
def test_weights_that_do_not_fit_together_are_a_sentence(tmp_path, changes):
    path = tmp_path / "weights.npz"
    good = {"embedding.0": np.zeros((VOCABULARY, 3)), "lstm_1.0": np.zeros((3, 8))}
    good |= {"lstm_1.1": np.zeros((2, 8)), "lstm_1.2": np.zeros(8)}
    good |= {"project.0": np.zeros((2, VOCABULARY)), "project.1": np.zeros(VOCABULARY)}
    np.savez(path, **good)
    assert symbolic.load(path).parameters == sum(array.size for array in good.values())
    np.savez(path, **good | changes)
    with pytest.raises(SymbolicError, match="weights.npz") as caught:
        symbolic.load(path)
    assert str(caught.value).isprintable()


def test_a_note_in_a_midi_file_that_no_piano_has_is_a_sentence_about_the_file(tmp_path):
    body = bytes([0, 0x90, 5, 90, 96, 0x80, 5, 0]) + b"\x00\xff\x2f\x00"
    header = b"MThd" + (6).to_bytes(4, "big") + b"\x00\x01\x00\x01\x00\x60"
    (tmp_path / "low.mid").write_bytes(header + b"MTrk" + len(body).to_bytes(4, "big") + body)
    with pytest.raises(ScoreError, match="low.mid holds what no piano plays: a note .0, 4, 5."):
        symbolic.read(tmp_path / "low.mid")


def test_another_archive_is_a_sentence(tmp_path):
    np.savez(tmp_path / "w.npz", a=np.zeros(3))
    with pytest.raises(SymbolicError, match="lacks embedding.0, project.0, project.1"):
        symbolic.load(tmp_path / "w.npz")


# ------------------------------------------------------------------------------ performance


def test_voices_are_ranked_from_the_top_and_accents_follow_the_bar():
    notes = [GridNote(0, 16, 48), GridNote(0, 4, 60), GridNote(0, 4, 72), GridNote(4, 3, 50)]
    score = symbolic.as_score(sorted(notes))
    found = {(e.pitch, e.start): (e.part, e.length, e.accent) for e in score.events}
    assert found == {
        (48, 0): (2, 4, 1.0),
        (60, 0): (1, 1, 1.0),
        (72, 0): (0, 1, 1.0),
        (50, 1): (0, 0.75, 0.25),
    }


def test_what_is_played_is_what_is_written():
    notes = [GridNote(0, 4, 60), GridNote(4, 4, 64), GridNote(8, 8, 67)]
    played = performing.perform(symbolic.as_score(notes, "a name"))
    assert [note.pitch for note in played] == [60, 64, 67]
    starts = np.diff([note.start for note in played])
    assert np.all((0.5 < starts) & (starts < 1.5))
    assert played == performing.perform(symbolic.as_score(notes, "a name"))
    assert played != performing.perform(symbolic.as_score(notes, "another name"))


def test_the_closing_page_quotes_what_was_measured():
    results = json.loads(
        (ROOT / "tools" / "experiments" / "symbolic_music.json").read_text("utf-8")
    )
    page = (ROOT / "docs" / "closing_reflection.md").read_text("utf-8")
    for T in ("0.7", "0.85"):
        one = results["temperatures"][T]
        assert f"| its own pieces, T = {T} | {one['nats_per_token']:.2f} |" in page
    assert f"never met | {results['nats_per_token']['network']:.2f} |" in page
    assert (
        f"{100 * results['less_surprising_than_bach']['0.7']['share']:.0f} of 100 of its pieces"
        in page
    )
    copied = results["temperatures"]["0.7"]["copied"], results["copied_by_bach"]
    assert f"{100 * copied[0]:.0f} in 100 of its stretches" in page
    assert f"{100 * copied[1]:.0f} in 100 do" in page
