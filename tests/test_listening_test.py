"""The composer test is balanced, hidden, complete and honest; its statistics are calibrated."""

import itertools
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import betabinom, binom, binomtest, ttest_1samp

from cmc_helpers import listening_test as lt
from cmc_helpers.audio import read_audio, set_level
from cmc_helpers.listening_test import Answers, TestError

REAL, MADE = [f"bach {i}" for i in range(6)], [f"run {i}" for i in range(6)]


def clips():
    """Noises of very different loudness."""
    rng = np.random.default_rng(0)
    names = REAL + MADE
    return {name: 0.3 / (1 + i) * rng.standard_normal(8000) for i, name in enumerate(names)}


@pytest.fixture
def folder(tmp_path):
    lt.prepare(tmp_path / "test", lt.plan(REAL, MADE, seed=3), clips())
    return tmp_path / "test"


def truth(folder):
    return json.loads((folder / "key.json").read_text("utf-8"))["generated"]


def answer(folder, listener, answers, familiarity=0.3):
    given = Answers(folder, listener, familiarity)
    for one in answers:
        given.give(one)
    return given


# --- The plan ---


@given(st.integers(1, 30), st.integers(0, 1000), st.sampled_from(lt.PROTOCOLS))
def test_every_clip_is_played_once_and_the_places_are_balanced(count, seed, protocol):
    real, made = [f"r{i}" for i in range(count)], [f"g{i}" for i in range(count)]
    key = lt.plan(real, made, seed, protocol)
    assert key.protocol == protocol and len(bytes.fromhex(key.nonce)) == 16
    assert sorted(name for trial in key.trials for name in trial) == sorted(real + made)
    if protocol == "pair":
        assert all(
            trial[place] in made and trial[1 - place] in real
            for trial, place in zip(key.trials, key.generated, strict=True)
        )
        assert abs(sum(key.generated) - count / 2) <= 0.5
    else:
        assert [trial[0] in made for trial in key.trials] == [bool(g) for g in key.generated]
        assert sum(key.generated) == count
    again = lt.plan(real, made, seed, protocol)
    assert again.trials == key.trials and again.generated == key.generated
    assert again.nonce != key.nonce


def test_another_seed_gives_another_order_and_either_kind_may_come_first():
    plans = [lt.plan(REAL, MADE, seed) for seed in range(40)]
    assert len({key.trials for key in plans}) > 30
    firsts = np.mean([key.generated[0] for key in plans])
    assert 0.2 < firsts < 0.8
    odd = {sum(lt.plan(REAL[:3], MADE[:3], seed).generated) for seed in range(20)}
    assert odd == {1, 2}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (([], [], 0), "^give at least one real and one generated"),
        ((["a"], [], 0), "^give at least one real and one generated"),
        (([], ["a"], 0), "^give at least one real and one generated"),
        ((["a"], ["a"], 0), "none of them twice"),
        ((["a", "b"], ["c"], 0), "2 real clips and 1 .* are not balanced: give as many of each$"),
        ((["a"], ["b"], 0, "triple"), "no protocol 'triple'; choose one of pair, single"),
    ],
)
def test_a_plan_that_cannot_be_fair_is_refused(arguments, sentence):
    with pytest.raises(TestError, match=sentence):
        lt.plan(*arguments)


def test_the_commitment_holds_everything_and_cannot_be_guessed():
    key = lt.plan(REAL, MADE, 3)
    others = [
        replace(key, generated=tuple(1 - g for g in key.generated)),
        replace(key, trials=key.trials[::-1]),
        replace(key, nonce=key.nonce[::-1]),
        lt.plan(REAL, MADE, 3),
    ]
    assert len({key.commitment, *(other.commitment for other in others)}) == 5


def test_the_text_of_a_key_never_changes_or_commitments_of_tests_that_are_running_would_break():
    key = lt.Key("pair", (("é", "b"),), (1,), "00ff")
    assert key.to_text() == (
        '{\n "generated": [\n  1\n ],\n "nonce": "00ff",\n "protocol": "pair",\n'
        ' "trials": [\n  [\n   "é",\n   "b"\n  ]\n ]\n}'
    )


# --- The clips ---


def test_clips_are_equally_loud_and_their_names_tell_nothing(folder):
    files = sorted(path.name for path in folder.glob("*.wav"))
    assert files == [f"trial_{n:03}_{letter}.wav" for n in range(1, 7) for letter in "ab"]
    levels = [np.sqrt(np.mean(read_audio(folder / name) ** 2)) for name in files]
    np.testing.assert_allclose(levels, 0.1, rtol=0.02)  # −20 dBFS
    about = (folder / "test.json").read_text("utf-8")
    assert not any(name in about for name in REAL + MADE)


def test_each_clip_is_where_the_key_says(folder):
    key, sounds = json.loads((folder / "key.json").read_text("utf-8")), clips()
    for number, trial in enumerate(key["trials"], 1):
        for letter, name in zip("ab", trial, strict=True):
            heard = read_audio(folder / f"trial_{number:03}_{letter}.wav")
            assert np.corrcoef(heard, sounds[name])[0, 1] > 0.999


def test_everybody_may_read_the_plan_and_a_folder_may_be_deep_or_there_already(tmp_path):
    key = lt.plan(REAL, MADE, 3, "single")
    for folder in (tmp_path / "deep" / "er", tmp_path):
        commitment = lt.prepare(folder, key, clips())
        assert commitment == key.commitment
        about = {"protocol": "single", "trials": 12, "commitment": commitment}
        assert lt.read_plan(folder) == about


def test_clips_of_another_sample_rate_keep_it_and_their_level_is_that_of_its_blocks(tmp_path):
    """Ever louder noise: how long 400 ms are says which blocks count."""
    noise = np.linspace(0.01, 0.5, 16000) * np.random.default_rng(0).standard_normal(16000)
    sounds = {"ours": noise, "his": noise[::-1]}
    lt.prepare(tmp_path, lt.plan(["his"], ["ours"], 0), sounds, sample_rate=16000)
    for path in tmp_path.glob("*.wav"):
        heard = read_audio(path, 16000)
        assert len(heard) == 16000
        name = "ours" if heard[-1000:].std() > heard[:1000].std() else "his"
        wanted = set_level(sounds[name], sample_rate=16000)
        np.testing.assert_allclose(heard, wanted, atol=1e-4)


def test_a_test_that_cannot_be_written_or_read_is_one_sentence(tmp_path, folder):
    (tmp_path / "key.json").mkdir()
    with pytest.raises(TestError, match="key.json is a folder: give the name of the file"):
        lt.prepare(tmp_path, lt.plan(REAL, MADE, 3), clips())
    (folder / "test.json").write_text("what")
    with pytest.raises(TestError, match="test.json is damaged: prepare the test again"):
        lt.read_plan(folder)
    (folder / "test.json").unlink()
    with pytest.raises(TestError, match="test.json does not exist: check its name and its folder$"):
        lt.read_plan(folder)


def test_a_test_is_never_overwritten_and_needs_every_clip(folder, tmp_path):
    key = lt.plan(REAL, MADE, 3)
    with pytest.raises(TestError, match="holds a listening test already"):
        lt.prepare(folder, key, clips())
    for broken in (clips() | {"run 2": np.zeros(8000)}, {"bach 1": np.ones(8000)}):
        with pytest.raises(TestError, match="is missing or silent"):
            lt.prepare(tmp_path / "other", key, broken)
        assert not (tmp_path / "other").exists()


# --- The answers ---


def test_an_answer_is_on_the_disk_at_once_and_a_crash_loses_none(folder):
    given = Answers(folder, "anna", 0.3)
    for number, one in enumerate((0, 1, 1)):
        assert given.next_trial == number
        given.give(one)
        assert Answers(folder, "anna").given == given.given  # as another process would see it
    with given.path.open("a") as file:
        file.write('{"trial": 3, "ans')  # cut off in the middle
    back = Answers(folder, "anna")
    assert back.given == [0, 1, 1] and back.next_trial == 3 and back.familiarity == 0.3
    _, *lines = map(json.loads, back.path.read_text("utf-8").splitlines())
    assert lines == [{"trial": number, "answer": one} for number, one in enumerate((0, 1, 1))]
    for one in (0, 0, 1):
        back.give(one)
    assert Answers(folder, "anna").next_trial is None
    with pytest.raises(TestError, match="all 6 trials are answered"):
        back.give(1)


def test_on_a_full_disk_an_answer_is_refused_whole_and_given_again_later(folder):
    given = answer(folder, "anna", [0])
    resource = pytest.importorskip("resource", reason="this system limits no process")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:  # room for half a line
        resource.setrlimit(resource.RLIMIT_FSIZE, (given.path.stat().st_size + 9, before[1]))
        with pytest.raises(TestError, match="anna.jsonl cannot be written: make room and answer"):
            given.give(1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert given.next_trial == 1
    given.give(1)
    given.give(0)
    assert Answers(folder, "anna").given == given.given == [0, 1, 0]


@pytest.mark.parametrize("left", ["", '{"familiarity": 0.3, "comm'])
def test_who_was_cut_off_before_the_first_answer_begins_anew(folder, left):
    (folder / "answers_anna.jsonl").write_text(left)
    assert "anna" not in lt.score(folder)
    given = Answers(folder, "anna", 0.4)
    assert (given.next_trial, given.familiarity) == (0, 0.4)
    given.give(1)
    assert Answers(folder, "anna").given == [1]


@pytest.mark.parametrize(
    ("listener", "familiarity", "sentence"),
    [
        ("../anna", 0.3, "cannot name a file"),
        ("", 0.3, "cannot name a file"),
        ("anna", None, "familiarity is a share from 0 to 1, not None"),
        ("anna", 30, "not 30"),
        ("anna", 1.01, "not 1.01"),
        ("anna", float("nan"), "not nan"),
    ],
)
def test_a_listener_who_cannot_be_kept_is_refused(folder, listener, familiarity, sentence):
    with pytest.raises(TestError, match=sentence):
        Answers(folder, listener, familiarity)
    assert not list(folder.glob("answers_*"))


def test_to_have_heard_nothing_or_everything_is_an_answer(folder):
    assert Answers(folder, "anna", 0).familiarity == 0
    assert Answers(folder, "bob", 1).familiarity == 1


def test_what_is_no_answer_and_what_is_no_test_is_refused(folder, tmp_path):
    with pytest.raises(TestError, match="an answer is 0 or 1, not 2"):
        Answers(folder, "anna", 0.3).give(2)
    with pytest.raises(TestError, match="test.json does not exist"):
        Answers(tmp_path, "anna", 0.3)
    head = '{"familiarity": 0.3, "commitment": "x"}\n'
    for damaged, why in (
        ("what", ""),
        ('{"commitment": "x"}', ""),
        ('{"familiarity": 3, "commitment": "x"}', ": the first line does not say"),
        (head + '{"trial": 0, "answer": 2}', ": a line holds no answer"),
        (head + '{"trial": 0}', ""),
    ):
        (folder / "answers_bob.jsonl").write_text(damaged + "\n")
        with pytest.raises(TestError, match=f"answers_bob.jsonl is damaged{why}"):
            Answers(folder, "bob")


DAMAGE = [
    ("test.json", {"trials": "six"}),
    ("test.json", {"trials": 10**9}),
    ("test.json", {"trials": 0}),
    ("test.json", {"protocol": None}),
    ("test.json", {"commitment": 1}),
    ("test.json", "[" * 100_000),
    ("test.json", "[]"),
    ("key.json", {"trials": [1]}),
    ("key.json", {"generated": [0]}),
    ("key.json", {"generated": None}),
    ("key.json", {"nonce": "\ud800"}),
    ("key.json", "{}"),
    ("key.json", "null"),
    ("answers_anna.jsonl", "[" * 100_000 + "\n"),
    ("answers_anna.jsonl", "{}\n"),
    ("answers_anna.jsonl", "[1]\n[2]\n"),
    ("answers_anna.jsonl", '{"familiarity": "much", "commitment": ""}\n'),
    ("answers_anna.jsonl", '{"familiarity": NaN, "commitment": ""}\n'),
    ("answers_anna.jsonl", '{"familiarity": 0.3}\n{"answer": 1}\n'),
    ("answers_anna.jsonl", '{"familiarity": 0.3, "commitment": ""}\n' + 7 * '{"answer": 1}\n'),
    ("answers_anna.jsonl", "\xff\n"),
]


@pytest.mark.parametrize(("name", "change"), DAMAGE, ids=lambda part: f"{part!s:.30}")
def test_a_damaged_test_is_refused_in_a_sentence(folder, name, change):
    answer(folder, "anna", [1])
    path = folder / name
    if isinstance(change, dict):
        change = json.dumps(json.loads(path.read_text("utf-8")) | change)
    path.write_text(change, "latin-1")
    with pytest.raises(TestError, match=name) as caught:
        lt.score(folder)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 600


# --- The score ---


def test_the_score_counts_right_answers_and_who_may_answer(folder):
    right = truth(folder)
    answer(folder, "expert", right, 0.7)
    answer(folder, "contrary", [1 - r for r in right], 0.1)
    answer(folder, "scholar", right[:2], 0.71)
    answer(folder, "newcomer", right[:3], 0.09)
    (folder / "answers_another.jsonl").write_text("")  # who left does not hide who stayed
    scores = lt.score(folder)
    assert all(one.right.dtype.kind == "i" for one in scores.values())
    assert scores["expert"].familiarity == 0.7
    assert scores["expert"].right.tolist() == [1] * 6
    assert scores["contrary"].right.tolist() == [0] * 6
    assert len(scores["scholar"].right) == 2
    assert {name for name, one in scores.items() if one.counts} == {"expert", "contrary"}


def test_a_key_that_was_changed_afterwards_is_found_out(folder):
    answer(folder, "anna", truth(folder))
    key, about = folder / "key.json", folder / "test.json"
    changed = json.loads(key.read_text("utf-8"))
    changed["generated"][0] = 1 - changed["generated"][0]
    key.write_text(json.dumps(changed))
    with pytest.raises(TestError, match="not the key that answers_anna.jsonl was committed to"):
        lt.score(folder)
    forged = lt.Key(**changed | {"trials": tuple(map(tuple, changed["trials"]))})
    forged = replace(forged, generated=tuple(changed["generated"]))
    key.write_text(forged.to_text())
    plan = json.loads(about.read_text("utf-8"))
    about.write_text(json.dumps(plan | {"commitment": forged.commitment}))
    with pytest.raises(TestError, match="not the key"):  # her file remembers the first one
        lt.score(folder)


# --- The statistics ---


def tail(right, trials, rate):
    """P(X ≥ right), by hand."""
    terms = (
        math.comb(trials, k) * rate**k * (1 - rate) ** (trials - k)
        for k in range(right, trials + 1)
    )
    return sum(terms)


COUNTS = st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
MANY_COUNTS = st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
RATES = st.lists(st.integers(0, 20), min_size=2, max_size=12)
LEVELS = st.sampled_from([0.01, 0.05, 0.1])
MARGINS = st.sampled_from([0.05, 0.1, 0.2])


def mirrored(verdict):
    """What the verdict is called where everybody's answers are the opposite ones."""
    return {lt.TOLD: lt.TAKEN, lt.TAKEN: lt.TOLD}.get(verdict, verdict)


@given(COUNTS)
def test_one_listeners_numbers_are_the_closed_forms(counts):
    right, trials = counts
    found = lt.judge_one(right, trials)
    assert found.rate == right / trials
    assert found.p_told == pytest.approx(tail(right, trials, 0.5))
    assert found.p_taken == pytest.approx(1 - tail(right + 1, trials, 0.5))
    below = 1 - tail(right + 1, trials, 0.6)
    assert found.p_alike == pytest.approx(max(below, tail(right, trials, 0.4)), abs=1e-12)
    low, high = found.interval
    if right:  # Clopper and Pearson's limits: where a tail holds half of 5 %
        assert tail(right, trials, low) == pytest.approx(0.025, rel=1e-3)
    if right < trials:
        assert 1 - tail(right + 1, trials, high) == pytest.approx(0.025, rel=1e-3)
    assert low <= found.rate <= high


@given(MANY_COUNTS, LEVELS, MARGINS)
def test_one_listeners_verdict_is_what_scipy_s_binomial_tests_say(counts, alpha, margin):
    right, trials = counts
    found = lt.judge_one(right, trials, margin, alpha)
    below = binomtest(right, trials, 0.5 + margin, "less").pvalue
    above = binomtest(right, trials, 0.5 - margin, "greater").pvalue
    if binomtest(right, trials, 0.5).pvalue < alpha:  # in both directions together
        wanted = lt.TOLD if right > trials / 2 else lt.TAKEN
    else:
        wanted = lt.ALIKE if max(below, above) < alpha / 2 else lt.UNDECIDED
    assert found.verdict == wanted
    assert found.p_alike == pytest.approx(max(below, above))
    exact = binomtest(right, trials).proportion_ci(1 - alpha, "exact")
    assert found.interval == pytest.approx(tuple(exact), abs=1e-9)


def tails(trials, right_ones, wrong_ones):
    """P(X ≥ r) for r from 0 to trials + 1, as whole numbers out of (right_ones + wrong_ones)ⁿ."""
    chances = [
        math.comb(trials, k) * right_ones**k * wrong_ones ** (trials - k) for k in range(trials + 1)
    ]
    return [*itertools.accumulate([0, *reversed(chances)])][::-1]


@pytest.mark.parametrize("trials", [*range(1, 30), 100, 104, 105, 130])
def test_a_verdict_is_what_counting_in_whole_numbers_says(trials):
    guess, high, low = (tails(trials, *odds) for odds in ((1, 1), (2, 3), (3, 2)))
    for right in range(trials + 1):
        holds = {
            lt.TOLD: 40 * guess[right] < 2**trials,
            lt.TAKEN: 40 * guess[trials - right] < 2**trials,
            lt.ALIKE: 40 * max(high[right], 5**trials - low[right + 1]) < 5**trials,
        }  # with so few answers no two of them hold together
        found = lt.judge_one(right, trials).verdict
        assert [name for name, true in holds.items() if true] == [n for n in holds if n == found]


def one_interval_one_verdict(found, margin):
    low, high = found.interval
    assert 0 <= low <= found.rate <= high <= 1
    places = {
        lt.TOLD: low > 0.5,
        lt.TAKEN: high < 0.5,
        lt.ALIKE: low <= 0.5 <= high and 0.5 - margin < low and high < 0.5 + margin,
    }
    holds = [name for name, there in places.items() if there]
    assert holds == [name for name in lt.VERDICTS[:3] if name == found.verdict]
    assert found.verdict in lt.VERDICTS


@given(MANY_COUNTS, RATES, LEVELS, MARGINS)
def test_the_interval_that_is_drawn_lies_where_the_one_verdict_says(counts, right, alpha, margin):
    one_interval_one_verdict(lt.judge_one(*counts, margin, alpha), margin)
    one_interval_one_verdict(lt.judge_many(np.array(right) / 20, margin, alpha), margin)


@given(MANY_COUNTS, RATES)
def test_who_is_always_wrong_hears_as_much_as_who_is_always_right(counts, right):
    rates = np.array(right) / 20
    pairs = [
        (lt.judge_one(*counts), lt.judge_one(counts[1] - counts[0], counts[1])),
        (lt.judge_many(rates), lt.judge_many(1 - rates)),
    ]
    for one, other in pairs:
        assert other.verdict == mirrored(one.verdict)
        assert other.interval == pytest.approx((1 - one.interval[1], 1 - one.interval[0]))
        assert (other.p_told, other.p_taken) == pytest.approx((one.p_taken, one.p_told))
        assert other.p_alike == pytest.approx(one.p_alike)


def test_there_are_four_verdicts():
    assert lt.judge_one(30, 40).verdict == "told apart"
    assert lt.judge_one(0, 20).verdict == "taken for the composer"
    assert lt.judge_one(5, 100).verdict == "taken for the composer"
    assert lt.judge_many([0.05, 0.1, 0.2, 0.1, 0.15]).verdict == "taken for the composer"
    assert lt.judge_one(2, 3).verdict == "undecided"  # not finding is not passing
    assert lt.judge_one(50, 100).verdict == "undecided"  # 0.398 to 0.602: not inside the margin
    assert lt.judge_one(200, 400).verdict == "indistinguishable"
    assert lt.judge_one(50, 100, alpha=0.1).verdict == "indistinguishable"  # the customary level
    assert lt.judge_one(5200, 10_000).verdict == "told apart"  # by little, but shown


def test_what_cannot_be_tested_is_refused():
    for wrong in ((5, 4), (-1, 4), (0, 0)):
        with pytest.raises(ValueError, match="such a test cannot be"):
            lt.judge_one(*wrong)
    for settings in ((0,), (0.5,), (0.6,), (0.1, 0), (0.1, 1)):
        for judge, given_ in ((lt.judge_one, (2, 4)), (lt.judge_many, ([0.4, 0.6],))):
            with pytest.raises(ValueError, match="such a test cannot be"):
                judge(*given_, *settings)
    with pytest.raises(ValueError, match="there is no verdict 'passed'; choose one of told apart"):
        lt.power(40, 0.5, verdict="passed")
    with pytest.raises(ValueError, match="such a test cannot be"):
        lt.power(40, 0.5, margin=0.5)


@pytest.mark.parametrize("trials", [10, 40, 120, 300])
def test_guessers_are_seldom_told_apart_and_tellers_seldom_pass(trials):
    """The probabilities of errors of the whole procedure, summed over every outcome."""
    outcomes = np.array([lt.judge_one(right, trials).verdict for right in range(trials + 1)])

    def chance(verdict, rate):
        return binom.pmf(np.arange(trials + 1), trials, rate)[outcomes == verdict].sum()

    assert chance(lt.TOLD, 0.5) + chance(lt.TAKEN, 0.5) <= 0.05
    for rate in np.linspace(0, 0.5, 26):
        assert chance(lt.TOLD, rate) <= 0.025 and chance(lt.TAKEN, 1 - rate) <= 0.025
    for rate in np.linspace(0, 0.4, 21):
        assert chance(lt.ALIKE, rate) <= 0.025 and chance(lt.ALIKE, 1 - rate) <= 0.025


@pytest.mark.parametrize(
    ("trials", "rate", "alpha", "margin"),
    [(5, 0.6, 0.05, 0.1), (77, 0.9, 0.05, 0.1), (301, 0.5, 0.05, 0.1), (120, 0.35, 0.1, 0.2)]
    + [(900, 0.53, 0.05, 0.1), (400, 0.5, 0.01, 0.1)],
)
def test_the_power_is_what_the_outcomes_add_up_to(trials, rate, alpha, margin):
    outcomes = [lt.judge_one(right, trials, margin, alpha).verdict for right in range(trials + 1)]
    chances = binom.pmf(np.arange(trials + 1), trials, rate)
    for verdict in lt.VERDICTS:
        wanted = chances[[one == verdict for one in outcomes]].sum()
        assert lt.power(trials, rate, alpha, verdict, margin) == pytest.approx(wanted, abs=1e-12)


def test_the_power_is_how_often_simulated_listeners_get_each_verdict():
    right = np.random.default_rng(0).binomial(240, [[0.4], [0.5], [0.6]], (3, 20_000))
    outcomes = np.array([lt.judge_one(r, 240).verdict for r in range(241)])
    for rate, found in zip((0.4, 0.5, 0.6), outcomes[right], strict=True):
        for verdict in lt.VERDICTS:
            assert np.mean(found == verdict) == pytest.approx(
                lt.power(240, rate, verdict=verdict), abs=4 * 0.5 / math.sqrt(20_000)
            )


@pytest.mark.parametrize(
    ("rate", "wanted", "alpha", "verdict"),
    [
        (0.55, 0.8, 0.05, "told apart"),
        (0.6, 0.8, 0.01, "told apart"),
        (0.75, 0.9, 0.05, "told apart"),
        (1.0, 0.8, 0.05, "told apart"),
        (0.0, 0.8, 0.3, "taken for the composer"),
        (0.3, 0.8, 0.05, "taken for the composer"),
        (0.5, 0.8, 0.05, "indistinguishable"),
        (0.5, 0.94, 0.05, "indistinguishable"),
        (0.5, 0.89, 0.1, "indistinguishable"),
    ],
)
def test_so_many_trials_are_enough_and_one_fewer_is_not(rate, wanted, alpha, verdict):
    needed = lt.trials_needed(rate, wanted, alpha)
    more = np.arange(needed, 3 * needed + 50)
    assert (lt.power(more, rate, alpha, verdict) >= wanted).all()
    assert lt.power(needed - 1, rate, alpha, verdict) < wanted


def test_a_narrower_margin_takes_more_answers():
    assert lt.trials_needed(0.5, margin=0.05) > 3.5 * lt.trials_needed(0.5, margin=0.1)
    assert lt.trials_needed(0.7, margin=0.05) == lt.trials_needed(0.7)  # where it plays no part


def test_at_the_customary_level_214_answers_first_let_guessers_pass_with_a_power_of_0_8():
    passing = lt.power(np.arange(1, 400), 0.5, 0.1, "indistinguishable")
    assert np.flatnonzero(passing >= 0.8)[0] + 1 == 214
    assert lt.trials_needed(0.5, alpha=0.1) == np.flatnonzero(passing < 0.8)[-1] + 2 == 227


def test_what_is_not_said_is_a_power_of_0_8_and_errors_of_5_percent():
    assert lt.trials_needed(0.6) == lt.trials_needed(0.6, 0.8, 0.05)
    assert lt.power(40, 0.6) == lt.power(40, 0.6, 0.05, "told apart")
    assert lt.power(240, 0.5, verdict=lt.ALIKE) == lt.power(240, 0.5, 0.05, lt.ALIKE, 0.1)
    assert lt.judge_one(25, 40) == lt.judge_one(25, 40, 0.1, 0.05)
    rates = [0.5, 0.6, 0.7, 0.45]
    assert lt.judge_many(rates) == lt.judge_many(rates, 0.1, 0.05)


@pytest.mark.parametrize(
    ("rate", "wanted"), [(0.5, 0.95), (-0.1, 0.8), (1.1, 0.8), (0.7, 1.0), (0.7, 0.0)]
)
def test_what_no_number_of_answers_shows_is_refused(rate, wanted):
    with pytest.raises(ValueError, match="no number of answers shows"):
        lt.trials_needed(rate, wanted)


# --- Several listeners ---


def population(rng, shape, trials, mean, spread):
    """Rates of listeners whose own skill is Beta-distributed about `mean`."""
    return rng.binomial(trials, rng.beta(mean * spread, (1 - mean) * spread, shape)) / trials


def pooled_alarms(listeners, trials, spread, alpha):
    """How often a one-sided binomial test of all answers finds skill where the mean is 0.5: exact,
    from the distribution of a sum."""
    total = np.ones(1)
    one = betabinom.pmf(np.arange(trials + 1), trials, spread / 2, spread / 2)
    for _ in range(listeners):
        total = np.convolve(total, one)
    p = binom.sf(np.arange(len(total)) - 1, listeners * trials, 0.5)
    return total[p < alpha].sum()


def test_listeners_who_differ_are_pooled_without_false_alarms():
    """Guessing on average, each in their own way: 5 % of false alarms, and not the binomial's."""
    rates = population(np.random.default_rng(0), (1000, 12), 20, 0.5, 8)
    verdicts = np.array([lt.judge_many(one).verdict for one in rates])
    for alarm in (lt.TOLD, lt.TAKEN):
        assert 0.01 < np.mean(verdicts == alarm) < 0.04
    assert pooled_alarms(12, 20, 8, 0.05) == pytest.approx(0.162, abs=0.003)
    assert 2 * pooled_alarms(12, 20, 8, 0.025) > 0.24
    assert pooled_alarms(12, 20, 1e9, 0.05) == pytest.approx(0.0406, abs=1e-4)  # who do not differ


@pytest.mark.parametrize(("listeners", "trials"), [(3, 4), (4, 6), (5, 5)])
def test_of_few_listeners_with_few_answers_every_outcome_together_keeps_the_level(
    listeners, trials
):
    """All outcomes, weighed by the beta-binomial distribution."""
    chances = {
        mean: betabinom.pmf(np.arange(trials + 1), trials, 8 * mean, 8 * (1 - mean))
        for mean in (0.4, 0.5, 0.6)
    }
    found = dict.fromkeys(itertools.product(chances, lt.VERDICTS), 0)
    for right in itertools.combinations_with_replacement(range(trials + 1), listeners):
        verdict = lt.judge_many(np.array(right) / trials).verdict
        orders = len({*itertools.permutations(right)})
        for mean, chance in chances.items():
            found[mean, verdict] += orders * chance[list(right)].prod()
    assert found[0.5, lt.TOLD] == pytest.approx(found[0.5, lt.TAKEN])
    assert found[0.5, lt.TOLD] + found[0.5, lt.TAKEN] < 0.05
    assert found[0.4, lt.TOLD] < 0.005 and found[0.6, lt.TAKEN] < 0.005
    assert max(found[0.4, lt.ALIKE], found[0.6, lt.ALIKE]) < 0.025


@given(RATES.filter(lambda right: len(set(right)) > 1))
def test_several_listeners_numbers_are_student_s_tests(right):
    rates = np.array(right) / 20
    found = lt.judge_many(rates.tolist())
    assert found.rate == pytest.approx(rates.mean())
    for p, alternative in ((found.p_told, "greater"), (found.p_taken, "less")):
        assert p == pytest.approx(ttest_1samp(rates, 0.5, alternative=alternative).pvalue)
    below = ttest_1samp(rates, 0.6, alternative="less").pvalue
    above = ttest_1samp(rates, 0.4, alternative="greater").pvalue
    assert found.p_alike == pytest.approx(max(below, above))
    limits = ttest_1samp(rates, 0.5).confidence_interval(0.95)
    assert found.interval == pytest.approx((max(0, limits.low), min(1, limits.high)))


@pytest.mark.parametrize("listeners", [2, 5, 6, 17])
@pytest.mark.parametrize("rate", [0.0, 0.25, 0.5, 0.75, 1.0])
def test_listeners_who_all_have_the_same_rate_are_judged_by_markov_s_inequality(listeners, rate):
    """Whose rate is c or 0 reaches c as often as the mean allows: there the limit is exact."""
    found = lt.judge_many([rate] * listeners)
    low, high = found.interval
    if rate:
        assert (low / rate) ** listeners == pytest.approx(0.025)  # of them all have the rate c
        assert found.p_told == pytest.approx(min(1, 0.5 / rate) ** listeners)
    if rate < 1:
        assert ((1 - high) / (1 - rate)) ** listeners == pytest.approx(0.025)
        assert found.p_taken == pytest.approx(min(1, 0.5 / (1 - rate)) ** listeners)
    one_interval_one_verdict(found, 0.1)


def test_six_listeners_who_all_tell_are_enough_and_seventeen_who_all_guess():
    assert lt.judge_many([1.0] * 5).verdict == lt.judge_many([0.0] * 5).verdict == "undecided"
    assert lt.judge_many([1.0] * 6).verdict == "told apart"
    assert lt.judge_many([0.0] * 6).verdict == "taken for the composer"
    assert lt.judge_many([0.5] * 16).verdict == "undecided"
    assert lt.judge_many([0.5] * 17).verdict == "indistinguishable"
    assert lt.judge_many([0.75, 0.75, 0.75]).verdict == "undecided"


def test_several_listeners_with_skill_are_found_and_without_any_pass():
    rng = np.random.default_rng(1)
    found = [lt.judge_many(rates).verdict for rates in population(rng, (200, 12), 20, 0.65, 30)]
    assert np.mean([verdict == "told apart" for verdict in found]) > 0.9
    passed = [lt.judge_many(rates).verdict for rates in population(rng, (200, 30), 60, 0.5, 1000)]
    assert np.mean([verdict == "indistinguishable" for verdict in passed]) > 0.9
    for rates in ([0.5], [0.5, 1.2], [0.5, float("nan")], []):
        with pytest.raises(ValueError, match="^several listeners are at least two"):
            lt.judge_many(rates)
