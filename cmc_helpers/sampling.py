"""How the next vector is chosen from a mixture: every knob, once (paper, section 2.1.2).

A knob is a field of `Sampling`, and what is said of it stands beside it. Its check, its option on
the command line, its widget, its place in the text of a position and its value in runs from before
it existed are made from the field; `mixtures.next_vector` uses it.

Notebook: 10.
"""

from dataclasses import asdict, dataclass, field, fields, replace
from numbers import Real
from typing import Any, Self

from cmc_helpers.mixtures import FORMS, NOISES, STRATEGIES


def _knob(default, words, label, choices=None, between=None, slider=None, of=STRATEGIES, own=None):
    """words: what it does. label: on a widget. choices, or between: (lowest, highest). slider:
    (from, to, step). of: the strategies that use it. own: the default with another strategy than
    the run's, if that is not the usual one; "" where the run's is kept."""
    own = str(default).removesuffix(".0") if own is None else own
    about = dict(words=words, label=label, choices=choices, between=between, slider=slider)
    return field(default=default, metadata=about | dict(of=of, own=own))


@dataclass(frozen=True)
class Sampling:
    """Where all knobs stand. sigma_scale None is what the strategy means: 1 for the paper's fourth,
    "sample", 0 for its first three.

    Raises ValueError, in one sentence, for what no strategy can follow.
    """

    strategy: str = _knob(
        "greedy",
        "How a vector is chosen from the mixture: the highest mean; the highest point; one of the "
        "means in the subset of --tau; or a Gaussian by its weight.",
        "strategy",
        choices=STRATEGIES,
        own="",
    )
    tau: float = _knob(
        0.6,
        "the share of the weight in the subset to choose from; 0 is the highest mean alone, 1 all "
        "of them.",
        "τ",
        between=(0, 1),
        slider=(0, 1, 0.05),
        of=("tempered",),
        own="",
    )
    sigma_scale: float | None = _knob(
        None,
        "How much of the Gaussian's noise is added: 0 none, 1 all.",
        "σ scale",
        between=(0, 100),
        slider=(0, 1.5, 0.05),
        own="1 for sample, else 0",
    )
    pi_temperature: float = _knob(
        1.0,
        "Below 1 the likely Gaussians are drawn more often than their weight says, above 1 the "
        "rare ones.",
        "π temperature",
        between=(0.01, 100),
        slider=(0.1, 2, 0.05),
    )
    form: str = _knob(
        "exact",
        "what the Gaussians are ranked by: the height of their peaks; that height as the paper "
        "prints it; or their weight alone.",
        "ranked by",
        choices=FORMS,
        of=("greedy", "tempered"),
    )
    noise: str = _knob(
        "gaussian",
        "What is added, times sigma: a Gaussian's noise; or what the network did not foresee at "
        "like moments of the pieces it has learnt from.",
        "noise",
        choices=NOISES,
    )

    def __post_init__(self):
        if self.sigma_scale is None:
            object.__setattr__(self, "sigma_scale", 1.0 if self.strategy == "sample" else 0.0)
        for knob in fields(self):
            value, about = getattr(self, knob.name), knob.metadata
            if about["choices"] and value not in (*about["choices"],):
                names = ", ".join(about["choices"])
                raise ValueError(f"there is no {knob.name} {value!r:.30}; choose one of {names}")
            if about["between"]:
                low, high = about["between"]
                if not (isinstance(value, Real) and low <= value <= high):  # nor is NaN in between
                    raise ValueError(
                        f"{knob.name} is a number from {low} to {high}, not {value!s:.30}"
                    )

    def but(self, **given: Any) -> "Sampling":
        """This, but for what is given; None is not given.

        Another strategy begins from its own σ scale and the usual values, and keeps τ alone.
        Raises ValueError for a knob that the strategy does not use.
        """
        given = {name: value for name, value in given.items() if value is not None}
        strategy = given.get("strategy", self.strategy)
        base = self if strategy == self.strategy else Sampling(strategy, self.tau)
        chosen = replace(base, **given)
        for name in chosen.idle():
            if name in given:
                users = " or ".join(KNOBS[name].metadata["of"])
                raise ValueError(
                    f"{name} has nothing to do with the strategy {strategy}: leave it out, or "
                    f"choose {users}"
                )
        return chosen

    def idle(self) -> list[str]:
        """The names of the knobs that the strategy does not use."""
        return [name for name, knob in KNOBS.items() if self.strategy not in knob.metadata["of"]]

    def used(self) -> dict[str, Any]:
        """{name: value} of the knobs that the strategy uses."""
        idle = self.idle()
        return {name: value for name, value in asdict(self).items() if name not in idle}

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> Self:
        """The inverse of `to_dict`. Knobs that an older run does not know have their usual value.

        Raises ValueError, KeyError or TypeError for what is no `Sampling`.
        """
        return cls(stored["strategy"], **{k: v for k, v in stored.items() if k != "strategy"})


KNOBS = {knob.name: knob for knob in fields(Sampling)}
