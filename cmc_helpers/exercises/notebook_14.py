"""Checks of notebook 14: a text in another key, pairs of tokens, and a temperature on logits."""

import numpy as np

from cmc_helpers.exercises.checking import counted, exercise, expect, expect_equal, listed, numbers
from cmc_helpers.scores import symbolic
from cmc_helpers.scores.symbolic import END, STEP, GridNote


@exercise("14.1")
def _higher(answer):
    """The notes that are read back are the same, on other keys."""
    notes = [GridNote(0, 4, 60), GridNote(0, 2, 64), GridNote(2, 2, 65), GridNote(6, 1, 60)]
    lowest, highest = GridNote(3, 1, 21), GridNote(3, 1, 108)
    for semitones, end in ((0, highest), (1, lowest), (12, lowest), (-7, highest)):
        text = np.append(symbolic.encode(sorted([*notes, end])), END)
        asked = f"for {symbolic.spell(text[:6])} … and {counted(semitones, 'semitone')}"
        moved = numbers(answer(text, semitones), asked)
        expect(
            moved.shape == text.shape,
            f"{asked} your text has the shape {moved.shape}, but {text.shape} is wanted: no token "
            "comes or goes",
        )
        still = np.isin(text, (END, STEP))
        expect(
            (moved[still] == text[still]).all(),
            f"{asked}, a sixteenth or an end has become another token: they have no pitch",
        )
        expect_equal(
            moved, symbolic.transpose(text, semitones), asked, "strikes and releases move alike"
        )
    return "one addition moves five hours of Bach into another key."


@exercise("14.2")
def _pairs(answer):
    """Closed forms: one pair, no pair, a text of two tokens, and one that has a direction."""
    for learn, judge, size, wanted, why in (
        ([0, 1, 0, 1, 0], [0, 1, 0], 2, -np.log(3 / 4), "each pair was seen twice: 3 of 4 with +1"),
        ([0], [0, 1, 0], 4, np.log(4), "nothing was learnt: all 4 tokens are equally likely"),
        ([0, 0, 0, 0], [0, 1], 2, np.log(5), "0 after 0 was seen 3 times, 1 after 0 never: 1 of 5"),
        ([1, 0, 2, 0, 1], [2, 0, 0], 3, (np.log(2) + np.log(5)) / 2, "rows are for what is before"),
        ([0, 0, 1], [0, 1], 2, np.log(2), "after 0 came 0 once and 1 once: 2 of 4 with +1"),
        ([2, 0, 0, 1], [0, 1, 1], 3, (np.log(5 / 2) + np.log(3)) / 2, "what is before decides"),
    ):
        asked = f"for learn {learn}, judge {judge} and {size} tokens"
        expect_equal(answer(np.array(learn), np.array(judge), size), wanted, asked, why)
    return "178 × 178 numbers that know one token of the past."


@exercise("14.3")
def _at_temperature(answer):
    """SciPy's softmax of z / T is the oracle; probabilities also for large logits."""
    from scipy.special import softmax

    for logits, T in (
        ([0.0, 1.0, 2.0], 1),
        ([0.0, 1.0, 2.0], 0.5),
        ([0.0, 1.0, 2.0], 3),
        ([1000.0, 999.0, 0.0], 1),
        ([-1000.0, -1001.0], 2),
        ([3.0, 3.0], 0.001),
        ([0.0, 3000.0, 0.0], 1),
    ):
        asked = f"for logits {logits} and T = {T}"
        got = numbers(answer(np.array(logits), T), asked)
        expect(
            np.isfinite(got).all(),
            f"{asked} your answer is {listed(got)}: e to the 1000 is too large for a float, so "
            "take the largest logit off first",
        )
        expect_equal(got, softmax(np.array(logits) / T), asked, "softmax(z / T), says SciPy")
    return "taking the same number off all logits changes no proportion, and nothing overflows."
