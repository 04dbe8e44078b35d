"""Each check accepts the right answer, rejects the usual wrong ones, and says why."""

import librosa
import numpy as np
import pytest

from cmc_helpers import exercises
from cmc_helpers.exercises import check
from cmc_helpers.features import GROUP_WIDTHS, a_weighting


def all_starts(lengths, steps):
    ends = np.cumsum(lengths)
    return [s for n, end in zip(lengths, ends, strict=True) for s in range(end - n, end - steps)]


def patient(losses, patience, better=lambda loss, best: loss < best, last=False, extra=0):
    """Early stopping, and by its options the ways to get it wrong."""
    best = waited = 0
    for epoch, loss in enumerate(losses[1:], start=1):
        best, waited = (epoch, 0) if better(loss, losses[best]) else (best, waited + 1)
        if waited == patience + extra:
            return epoch if last else best
    return best


def impatient(losses, patience):
    """Forgets to begin anew when the loss falls."""
    best = waited = 0
    for epoch, loss in enumerate(losses[1:], start=1):
        if loss < losses[best]:
            best = epoch
        else:
            waited += 1
        if waited == patience:
            break
    return best


def octaves(k):
    if k < 32:
        return k
    if k < 96:
        return 32 + (k - 32) // 2
    return 64 + (k - 96) // 4 if k < 224 else 96 + (k - 224) // 8


RIGHT = {
    "00.1": [lambda n: (n - 256) // 64 + 1],
    "00.2": [lambda K, m: 2 * K + K * m],
    "00.3": [lambda frames: (64 * (frames - 1) + 256) / 8000],
    "07.1": [
        lambda f: 20 * np.log10(a_weighting(f)),
        lambda f: librosa.A_weighting(np.maximum(f, 100)),
    ],
    "07.2": [
        octaves,
        lambda k: np.repeat(np.arange(100), GROUP_WIDTHS)[k],
    ],
    "07.3": [lambda x: x[64:]],
    "09.1": [all_starts, lambda lengths, steps: np.array(all_starts(lengths, steps)[::-1])],
    "09.2": [patient],
    "09.3": [lambda y, mean: 0.5 * ((y - mean) ** 2).sum() + 0.5 * len(y) * np.log(2 * np.pi)],
}

# number: (the mistake, the answer that makes it, words of the counter-example)
WRONG = {
    "00.1": [
        ("no overlap", lambda n: n // 256, "for n = 320"),
        ("forgets the first window", lambda n: (n - 256) // 64, "for n = 256"),
        ("rounds up", lambda n: -(-(n - 256) // 64) + 1, "for n = 319"),
        ("counts fractions of windows", lambda n: (n - 256) / 64 + 1, "1.98438"),
        ("padded at both ends", lambda n: 1 + n // 64, "for n = 256 your answer is 5, but 1"),
    ],
    "00.2": [
        ("a weight and σ per feature", lambda K, m: 3 * K * m, "for K = 1, m = 7"),
        ("K and m swapped", lambda K, m: 2 * m + K * m, "for K = 1, m = 7"),
        ("one σ for all", lambda K, m: K + 1 + K * m, "for K = 10, m = 1"),
        ("a full covariance", lambda K, m: K * (1 + m + m * m), "for K = 1, m = 7"),
    ],
    "00.3": [
        ("hops alone", lambda frames: frames / 125, "for frames = 1 your answer is 0.008"),
        ("windows end to end", lambda frames: frames * 256 / 8000, "for frames = 2"),
        ("in samples", lambda frames: 64 * (frames - 1) + 256, "but 0.032 is wanted"),
    ],
    "07.1": [
        ("power, not amplitude", lambda f: 40 * np.log10(a_weighting(f)), "curve of power"),
        ("10 log₁₀", lambda f: 10 * np.log10(a_weighting(f)), "at 100 Hz"),
        ("amplitude, not decibels", a_weighting, "at 1000 Hz"),
        ("falls below 100 Hz", lambda f: librosa.A_weighting(f, min_db=None), "at 0 Hz"),
        ("0 dB below 100 Hz", lambda f: np.where(f < 100, 0, librosa.A_weighting(f)), "at 0 Hz"),
        ("one number for all", lambda f: librosa.A_weighting(np.maximum(f, 100))[:1], "shape (1,)"),
    ],
    "07.2": [
        ("all of one width", lambda k: k * 100 // 256, "for bin k = 31"),
        ("octaves one bin late", lambda k: k if k < 33 else 33 + (k - 33) // 2, "k = 33"),
        (
            "widths of 4 to the end",
            lambda k: octaves(min(k, 223)) + max(0, k - 220) // 4,
            "for bin k = 255",
        ),
    ],
    "07.3": [
        ("one sample", lambda x: x[1:], "frame 0 of your spectrogram is not frame 1"),
        ("one window", lambda x: x[256:], "holds no window"),
        ("silenced, not dropped", lambda x: np.r_[np.zeros(64), x[64:]], "2 frames instead of 1"),
        ("the last frame", lambda x: x[:-64], "frame 0 of your spectrogram is not frame 1"),
    ],
    "09.1": [
        (
            "no room for the last target",
            lambda lengths, steps: [
                s
                for n, end in zip(lengths, np.cumsum(lengths), strict=True)
                for s in range(end - n, end - steps + 1)
            ],
            "the last frame there is has number 4",
        ),
        ("pieces ignored", lambda lengths, steps: range(sum(lengths) - steps), "two pieces"),
        ("side by side", lambda lengths, steps: all_starts(lengths, steps)[::steps], "missing"),
        (
            "the last start forgotten",
            lambda lengths, steps: [
                s for s in all_starts(lengths, steps) if s + 1 in all_starts(lengths, steps)
            ],
            "[1]",
        ),
        (
            "numbers inside the pieces",
            lambda lengths, steps: [s for n in lengths for s in range(n - steps)],
            "are missing",
        ),
        (
            "pairs",
            lambda lengths, steps: [(s, s + steps) for s in all_starts(lengths, steps)],
            "you allow the start",
        ),
    ],
    "09.2": [
        ("the best of all", lambda losses, patience: int(np.argmin(losses)), "nobody ran"),
        ("the last", lambda losses, patience: patient(losses, patience, last=True), "2.5, 2.6"),
        ("one more", lambda losses, patience: patient(losses, patience, extra=1), "patience 2"),
        ("never anew", impatient, "begins anew"),
        (
            "an equal loss counts",
            lambda losses, patience: patient(losses, patience, lambda loss, best: loss <= best),
            "an equal loss",
        ),
        ("the highest", lambda losses, patience: int(np.argmax(losses)), "the loss never rose"),
        (
            "nearest to zero",
            lambda losses, patience: patient(
                losses, patience, lambda loss, best: abs(loss) < abs(best)
            ),
            "below zero",
        ),
    ],
    "09.3": [
        ("no constant", lambda y, mean: 0.5 * ((y - mean) ** 2).sum(), "the peak"),
        (
            "one dimension's constant",
            lambda y, mean: 0.5 * (((y - mean) ** 2).sum() + np.log(2 * np.pi)),
            "m = 2",
        ),
        ("the sign", lambda y, mean: -RIGHT["09.3"][0](y, mean), "but 0.918939 is wanted"),
        ("decades, not nats", lambda y, mean: RIGHT["09.3"][0](y, mean) / np.log(10), "m = 1"),
        ("averaged over dimensions", lambda y, mean: RIGHT["09.3"][0](y, mean) / len(y), "m = 2"),
        (
            "no half",
            lambda y, mean: ((y - mean) ** 2).sum() + 0.5 * len(y) * np.log(2 * np.pi),
            "so says SciPy",
        ),
        (
            "not summed",
            lambda y, mean: 0.5 * (y - mean) ** 2 + 0.5 * np.log(2 * np.pi),
            "shape (1,), but () is wanted",
        ),
    ],
}


@pytest.mark.parametrize("number", exercises._CHECKS)
def test_the_right_answer_is_right(number):
    for answer in RIGHT[number]:
        verdict = check(number, answer)
        assert verdict.state == "right", verdict
        assert verdict.message.endswith(".")


@pytest.mark.parametrize(
    ("number", "mistake"), [(n, mistake) for n, mistakes in WRONG.items() for mistake in mistakes]
)
def test_a_plausible_mistake_is_answered_with_a_counter_example(number, mistake):
    _, answer, words = mistake
    verdict = check(number, answer)
    assert verdict.state == "wrong", verdict
    assert words in verdict.message


def test_every_exercise_is_tried_with_several_mistakes():
    assert set(RIGHT) == set(WRONG) == set(exercises._CHECKS)
    assert min(len(mistakes) for mistakes in WRONG.values()) >= 3


def stub(*arguments):
    """As the notebook leaves it."""


def unfinished(*arguments):
    raise NotImplementedError


@pytest.mark.parametrize("number", exercises._CHECKS)
@pytest.mark.parametrize("empty", [stub, unfinished, lambda *arguments: ...])
def test_an_empty_function_is_not_attempted_yet(number, empty):
    verdict = check(number, empty)
    assert verdict.state == "not attempted yet"
    assert not verdict


@pytest.mark.parametrize("number", exercises._CHECKS)
@pytest.mark.parametrize(
    "junk", ["four", [1, [2, 3]], {"a": 1}, object(), np.nan, np.zeros((0, 3))]
)
def test_an_answer_that_makes_no_sense_is_wrong_and_no_crash(number, junk):
    assert check(number, lambda *arguments: junk).state == "wrong"


def test_an_error_in_the_answer_is_told_with_its_line():
    def frames(n):
        hops = n - 256
        return hops / (hops - hops)

    verdict = check("00.1", frames)
    assert verdict.state == "wrong"
    assert "for 256 your function stops at `return hops / (hops - hops)`" in verdict.message
    assert "ZeroDivisionError: division by zero" in verdict.message


def test_an_answer_that_cannot_be_called_as_asked_is_told_so():
    verdict = check("00.2", lambda K: 2 * K)
    assert "for 1, 1 your function cannot be called (TypeError" in verdict.message


def test_a_return_that_is_missing_later_is_wrong():
    verdict = check("00.1", lambda n: 1 if n == 256 else None)
    assert verdict.state == "wrong"
    assert "for 319 your function returns nothing" in verdict.message


def test_the_same_answer_gets_the_same_text_without_addresses():
    def frames(n):
        raise ValueError(f"not with {object()}")

    first, second = check("00.1", frames), check("00.1", frames)
    assert repr(first) == repr(second)
    assert " at 0x" not in repr(first)


def test_text_and_html_say_the_same():
    verdict = check("00.1", lambda n: n < 0)
    assert verdict.message.startswith("for n = 256 your answer is 0, but 1 is wanted")
    assert repr(verdict) == f"00.1 wrong: {verdict.message}"
    assert "✗ 00.1 wrong:" in verdict._repr_html_()


def test_an_error_that_holds_markup_does_not_become_html():
    def frames(n):
        raise ValueError("<b>")

    assert "&lt;b&gt;" in check("00.1", frames)._repr_html_()


def test_only_a_right_answer_is_true():
    assert check("00.1", RIGHT["00.1"][0])
    assert not check("00.1", lambda n: 0)


def test_warnings_of_the_answer_stay_out_of_the_notebook(recwarn):
    check("09.3", lambda y, mean: np.log(-1.0 - y.sum() ** 2))
    assert not recwarn.list


def test_the_answer_cannot_change_what_it_is_compared_with():
    def tail(waveform):
        waveform[:] = 0
        return waveform[64:]

    assert check("07.3", tail).state == "wrong"


def test_an_unknown_exercise_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="no exercise '99.9'; choose one of 00.1, 00.2"):
        check("99.9", stub)
