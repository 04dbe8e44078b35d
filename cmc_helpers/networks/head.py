"""A mixture head and its loss, for a Keras model of anybody's own.

    from cmc_helpers import mixtures, networks
    from cmc_helpers.sampling import Sampling

    head = networks.MixtureHead(components=5, dimensions=2)
    model = keras.Sequential([keras.layers.LSTM(64, return_sequences=True), head])
    model.compile("adam", networks.MixtureLoss(components=5, dimensions=2))
    model.fit(x, y)  # x (batch, T, any), y (batch, T, 2)
    mixture = head.mixture(model.predict(x))
    y, component = mixtures.draw(mixture, Sampling("tempered", tau=0.6), rng=0)

A model that was saved comes back by `keras.models.load_model` alone, without custom objects and
with safe mode on, in a program that says `from cmc_helpers.networks import MixtureHead` before: by
that, Keras learns the names of the layer and of all losses of `networks`.

For those who come from keras-mdn-layer 1.0.0 (C. Martin, https://pypi.org/project/keras-mdn-layer):
`MDN(OUTPUT_DIMS, N_MIXES)` is `MixtureHead(N_MIXES, OUTPUT_DIMS, "diagonal")`,
`get_mixture_loss_func(OUTPUT_DIMS, N_MIXES)` is `MixtureLoss(N_MIXES, OUTPUT_DIMS, "diagonal")`,
and `sample_from_output(params, OUTPUT_DIMS, N_MIXES, temp, sigma_temp)` is `mixtures.draw(
head.mixture(params), Sampling("sample", pi_temperature=temp, sigma_scale=sigma_temp ** 0.5), rng)`.
There σ is always diagonal, ELU + 1 + 1e-7, with no other floor; the loss is one mean over all that
it is given, so that no vector can be masked or weighed; `load_model` wants custom objects; and
`sample_from_output` draws one vector a call, from NumPy's global numbers. Here σ may be isotropic,
as in the paper, and has a floor and a ceiling; the loss is a number for each vector; and `draw`
takes a seed, any number of vectors at once, and chooses by π/σ^m and τ too, not by π alone.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from numbers import Integral
from typing import Any, TypeVar

import numpy as np

from cmc_helpers import mixtures

COVARIANCES = ("isotropic", "diagonal")
_Class = TypeVar("_Class", bound=type)


@dataclass(frozen=True)
class Layout:
    """What the numbers in the last axis of a head's output mean.

    components: K. dimensions: m, of the vectors that are foreseen. covariance: "isotropic", one σ
    for each component (paper, section 2.1.2), or "diagonal", one for each of its dimensions too.
    sigma_floor: the smallest σ, in the unit of the vectors. Raises ValueError, in one sentence, for
    what no mixture has.
    """

    components: int
    dimensions: int
    covariance: str = "isotropic"
    sigma_floor: float = 0.01

    def __post_init__(self):
        for name in ("components", "dimensions"):
            number = getattr(self, name)
            if not isinstance(number, Integral) or number < 1:
                raise ValueError(f"{name} must be a whole number from 1 upwards, not {number!r}")
        if self.covariance not in COVARIANCES:
            raise ValueError(
                f"there is no covariance {self.covariance!r}; choose one of "
                f"{', '.join(COVARIANCES)}"
            )
        if not 0 < self.sigma_floor < 100:
            raise ValueError(f"sigma_floor must be above 0 and below 100, not {self.sigma_floor}")

    @property
    def outputs(self) -> int:
        """Isotropic: K logits, K σ, K·m means. Diagonal: K logits, K·m σ, K·m means."""
        K, m = self.components, self.dimensions
        return 2 * K + K * m if self.covariance == "isotropic" else K + 2 * K * m

    def mixture(self, output: Any, xp: Any = np) -> mixtures.Mixture | mixtures.DiagonalMixture:
        """(..., outputs) → a `mixtures.Mixture`, or a `mixtures.DiagonalMixture`."""
        if output.shape[-1] != self.outputs:
            raise ValueError(
                f"{self.components} {self.covariance} components in {self.dimensions} dimensions "
                f"are {self.outputs} numbers, and not {output.shape[-1]}: give head and loss the "
                "same settings"
            )
        read: dict[str, Callable[..., mixtures.Mixture | mixtures.DiagonalMixture]] = {
            "isotropic": mixtures.from_network_output,
            "diagonal": mixtures.from_diagonal_output,
        }
        return read[self.covariance](output, self.components, self.sigma_floor, xp=xp)

    def log_density(self, y: Any, output: Any, xp: Any = np) -> Any:
        """ln P(y | M), in nats: y (..., m), output (..., outputs) → (...)."""
        if len(y.shape) != len(output.shape) or y.shape[-1] not in (None, self.dimensions):
            wanted = (*output.shape[:-1], self.dimensions)
            raise ValueError(
                f"targets of the shape {tuple(y.shape)} do not fit an output that foresees vectors "
                f"of {self.dimensions} numbers: bring them into the shape {wanted}"
            )
        density: dict[str, Callable[..., Any]] = {
            "isotropic": mixtures.log_density,
            "diagonal": mixtures.diagonal_log_density,
        }
        return density[self.covariance](y, self.mixture(output, xp), xp)


@cache
def classes() -> dict[str, Any]:
    """{name: class} of what is Keras' own kind. Made when first asked for: the package is loaded
    without Keras."""
    import keras
    from keras import ops

    @serialisable
    class MixtureHead(keras.layers.Dense):
        """The last layer of a model: (..., any) → the numbers of a mixture, (..., outputs).

        components: K. dimensions: m, numbers in a vector that is foreseen. covariance: "isotropic",
        2K + K·m outputs (paper, section 2.1.2), or "diagonal", K + 2·K·m. sigma_floor: the smallest
        σ; `MixtureLoss` is given the same four. options: of `keras.layers.Dense`, as
        kernel_regularizer. Raises ValueError, in one sentence, for what no mixture has.
        """

        def __init__(
            self,
            components: int,
            dimensions: int,
            covariance: str = "isotropic",
            sigma_floor: float = 0.01,
            **options: Any,
        ) -> None:
            layout = Layout(components, dimensions, covariance, sigma_floor)
            super().__init__(layout.outputs, **options)
            self.layout = layout

        def mixture(self, output: Any) -> mixtures.Mixture | mixtures.DiagonalMixture:
            """The `mixtures.Mixture` (`mixtures.DiagonalMixture`) of an output (..., outputs), in
            NumPy, for `mixtures.draw` and the rest of `mixtures`."""
            return self.layout.mixture(np.asarray(output))

        def get_config(self) -> dict[str, Any]:
            config = super().get_config() | asdict(self.layout)
            del config["units"]  # follow from the others
            return config

    @serialisable
    class MixtureLoss(keras.losses.Loss):
        """−ln P(y | M) in nats, M of a `MixtureHead`: y (..., m), output (..., outputs) → (...),
        of which Keras takes the mean, or as `reduction` says.

        The first four arguments are those of the head. fused: on TensorFlow the loss is compiled by
        XLA, which fuses its (..., K, m) intermediates, once for each shape of a batch; False is
        better where most batches have a shape of their own. Raises ValueError, in one sentence, for
        what no mixture has, and for targets or outputs of another width.
        """

        def __init__(
            self,
            components: int,
            dimensions: int,
            covariance: str = "isotropic",
            sigma_floor: float = 0.01,
            fused: bool = True,
            name: str = "mixture_loss",
            reduction: str | None = "sum_over_batch_size",
            dtype: Any = None,
        ) -> None:
            super().__init__(name, reduction, dtype)
            self.layout = layout = Layout(components, dimensions, covariance, sigma_floor)
            self.fused = fused
            self._losses = lambda y_true, y_pred: -layout.log_density(y_true, y_pred, ops)
            if fused:
                self._losses = compiled(self._losses)

        def call(self, y_true: Any, y_pred: Any) -> Any:
            return self._losses(y_true, y_pred)

        def get_config(self) -> dict[str, Any]:
            own = asdict(self.layout) | {"fused": self.fused, "dtype": self.dtype}
            return super().get_config() | own

    return {"MixtureHead": MixtureHead, "MixtureLoss": MixtureLoss}


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """On TensorFlow `function` through XLA; on another backend as it is."""
    import keras

    if keras.backend.backend() != "tensorflow":
        return function
    import tensorflow as tf

    return tf.function(function, jit_compile=True, autograph=False)


def serialisable(cls: _Class) -> _Class:
    """The class, by a name that Keras finds in a saved model from now on."""
    import keras

    return keras.saving.register_keras_serializable("cmc_helpers")(cls)
