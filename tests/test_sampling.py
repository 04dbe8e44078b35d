"""Sampling: what its fields say is what is checked, offered and written."""

from dataclasses import fields, replace

import click
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmc_helpers import cli
from cmc_helpers.mixtures import STRATEGIES, Mixture, next_vector
from cmc_helpers.sampling import KNOBS, Sampling

LIMITED = [name for name, knob in KNOBS.items() if knob.metadata["between"]]


def samplings(**fixed):
    """Any `Sampling`, but for what is fixed."""
    kinds = {
        name: st.sampled_from(list(knob.metadata["choices"]))
        if knob.metadata["choices"]
        else st.floats(*knob.metadata["between"])
        for name, knob in KNOBS.items()
    }
    return st.builds(Sampling, **kinds | {name: st.just(v) for name, v in fixed.items()})


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_unless_told_a_strategy_is_the_paper_s(strategy):
    usual = Sampling(strategy)
    assert usual.sigma_scale == (strategy == "sample")
    assert (usual.tau, usual.pi_temperature, usual.form, usual.noise) == (
        *(0.6, 1.0),
        *("exact", "gaussian"),
    )


@pytest.mark.parametrize(
    "asked, sentence",
    [
        (
            dict(strategy="loud"),
            "no strategy 'loud'; choose one of greedy, exact, tempered, s",
        ),
        (dict(strategy=["greedy"]), "no strategy"),
        (dict(form="peak"), "no form 'peak'; choose one of exact, paper, weight"),
        (dict(noise="pink"), "no noise 'pink'; choose one of gaussian, residuals"),
        (dict(tau=-0.1), "tau is a number from 0 to 1, not -0.1"),
        (dict(sigma_scale=100.5), "sigma_scale is a number from 0 to 100, not 100.5"),
        (dict(pi_temperature=0.0), "pi_temperature is a number from 0.01 to 100, not 0.0"),
        (dict(tau="all"), "tau is a number from 0 to 1, not all"),
    ],
)
def test_what_no_strategy_can_follow_is_refused_in_a_sentence(asked, sentence):
    with pytest.raises(ValueError, match=sentence):
        Sampling(**asked)


@pytest.mark.parametrize("name", LIMITED)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, -5e-324, 10**400, -(10**400), "1", 1j])
def test_a_knob_takes_its_borders_and_nothing_beyond_them(name, bad):
    for border in KNOBS[name].metadata["between"]:
        assert getattr(Sampling(**{name: border}), name) == border
    with pytest.raises(ValueError, match=f"{name} is a number from") as caught:
        Sampling(**{name: bad})
    assert str(caught.value).isprintable() and len(str(caught.value)) < 120


@given(samplings())
def test_what_is_stored_is_read_back(sampling):
    assert Sampling.from_dict(sampling.to_dict()) == sampling


def test_an_older_run_has_the_usual_value_of_what_it_does_not_know():
    stored = {"strategy": "sample", "tau": 0.6, "sigma_scale": 0.5}
    assert Sampling.from_dict(stored) == Sampling("sample", sigma_scale=0.5)


@given(samplings(), st.sampled_from(STRATEGIES))
def test_another_strategy_begins_from_its_own_settings_but_keeps_tau(sampling, strategy):
    assert sampling.but() == sampling.but(strategy=sampling.strategy, noise=None) == sampling
    if strategy != sampling.strategy:
        assert sampling.but(strategy=strategy) == Sampling(strategy, sampling.tau)


@given(samplings(), st.sampled_from([name for name in KNOBS if name != "strategy"]))
def test_a_knob_that_the_strategy_does_not_use_is_refused_by_its_name(sampling, name):
    value = getattr(sampling, name)
    if name not in sampling.idle():
        assert sampling.but(**{name: value}) == sampling
        return
    users = " or ".join(KNOBS[name].metadata["of"])
    with pytest.raises(ValueError, match=f"^{name} has nothing to do .*, or choose {users}$"):
        sampling.but(**{name: value})


@given(samplings(), samplings(), st.integers(0, 2**32))
def test_idle_knobs_are_those_that_change_nothing(sampling, other, seed):
    rng = np.random.default_rng(seed)
    mixture = Mixture(np.log([0.5, 0.3, 0.2]), rng.normal(size=(3, 2)), rng.uniform(0.5, 2, 3))
    turned = replace(sampling, **{name: getattr(other, name) for name in sampling.idle()})
    uniform, deviation = np.array(1 - rng.random()), rng.normal(size=2)
    y, component = next_vector(mixture, sampling, uniform, deviation)
    again, same = next_vector(mixture, turned, uniform, deviation)
    assert component == same
    np.testing.assert_array_equal(y, again)


@pytest.mark.parametrize("command", ["generate", "evaluate"])
def test_every_field_is_an_option_with_its_words_and_range(command):
    options = {option.name: option for option in cli.commands.commands[command].params}
    for knob in fields(Sampling):
        option, about = options[knob.name], knob.metadata
        assert about["words"] in option.help
        for strategy in about["of"] if about["of"] != STRATEGIES else ():
            assert strategy in option.help.partition(":")[0]
        if about["choices"]:
            assert [*option.type.choices] == [*about["choices"]]
        else:
            assert isinstance(option.type, click.FloatRange)
            assert (option.type.min, option.type.max) == about["between"]
