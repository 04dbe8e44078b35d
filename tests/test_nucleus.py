"""What the experiment on nucleus sampling compares: one component more in S, and nothing else."""

import sys

import numpy as np
import pytest
from hypothesis import assume, given
from notebook_rules import ROOT
from test_mixtures import mathematics, random_mixture, seeds, shares, subset, taus

from cmc_helpers import generation, mixtures, runs


@pytest.fixture(scope="module")
def nucleus():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "tools" / "experiments"))
        import nucleus

        yield nucleus
    sys.modules.pop("nucleus", None)


@mathematics
@given(weights=shares, tau=taus)
def test_a_nucleus_is_the_smallest_set_that_holds_tau(nucleus, weights, tau):
    """As Holtzman et al. define it; of sets of one size, that of the largest weights."""
    every = np.arange(1, 2 ** len(weights))[:, None] >> np.arange(len(weights)) & 1  # sets, by row
    held, size = every @ weights, every.sum(axis=1)
    enough = np.flatnonzero((held >= tau) | (size == len(weights)))
    wanted = enough[np.lexsort((-held[enough], size[enough]))[0]]
    sums = np.cumsum(sorted(weights, reverse=True))
    assume(np.abs(sums - tau).min() > 1e-9)  # where rounding would decide
    kept = nucleus.nucleus(np.log(weights), tau)
    assert weights[[*subset(kept)]].sum() == pytest.approx(held[wanted])
    inside = sorted(subset(kept))
    np.testing.assert_allclose(np.exp(kept[inside]), weights[inside] / weights[inside].sum())


@mathematics
@given(weights=shares, tau=taus)
def test_it_has_the_component_that_crosses_tau_and_the_paper_s_subset_has_not(
    nucleus, weights, tau
):
    sums = np.cumsum(sorted(weights, reverse=True))
    assume(np.abs(sums - tau).min() > 1e-9 and weights.max() < tau < 1)
    papers = subset(mixtures.tempered_log_weights(np.log(weights), tau))
    one_more = subset(nucleus.nucleus(np.log(weights), tau))
    assert papers < one_more and len(one_more) == len(papers) + 1


@mathematics
@given(seed=seeds)
def test_at_both_ends_of_tau_the_rules_agree(nucleus, seed):
    log_weights = random_mixture(seed, 6, batch=(3,)).log_weights
    for tau in (0.0, 1.0):
        wanted = mixtures.tempered_log_weights(log_weights, tau)
        np.testing.assert_allclose(nucleus.nucleus(log_weights, tau), wanted, atol=1e-12)


def test_only_the_rule_changes_and_only_while_it_plays(nucleus):
    run = runs.load(runs.find("bach"))
    size = nucleus.SMALL
    primers = np.repeat(run.primer[None, -188:], 2, axis=0)
    before = generation.generate(run, 40, tau=0.8, **nucleus.KNOBS).vectors
    ends = [nucleus.played(run, primers, size, rule, 1.0) for rule in nucleus.RULES]
    assert ends[0] == ends[1]  # of all components, no rule leaves one out
    again = generation.generate(run, 40, tau=0.8, **nucleus.KNOBS).vectors
    np.testing.assert_array_equal(before, again)


def test_noise_that_never_was_louder_is_not_alive(nucleus):
    rng = np.random.default_rng(0)
    music = rng.random((750, 100))
    assert nucleus.lives(music, music, 125) and nucleus.lives(0.02 * music, music, 125)
    assert not nucleus.lives(0.005 * music, music, 125)
    assert not nucleus.lives(np.ones_like(music), music, 125)  # frozen
