"""One training step, on one device or on many (paper, section 2.3: θ ← θ − α ∇E).

On TensorFlow a step is written out here, because that is what is fastest (see
`tools/benchmarks/training.py`) and what `tf.distribute` can run on several devices: each takes its
rows of the same batch, the gradients are added up, and every device makes the same change. So n
devices learn what one learns, but for rounding. On any other Keras backend the step is Keras' own.

docs/distributed_training.md says how to start several workers.
"""

import os
from typing import Any

import numpy as np

from cmc_helpers import networks
from cmc_helpers.files import parse_json
from cmc_helpers.networks import NetworkConfig
from cmc_helpers.training.errors import TrainingError

# Units up to which a training step spends its time between operations, not in them: XLA compiles
# all of it. Of larger networks only the loss gains.
_SMALL = 64


def join_workers() -> Any:
    """Meet the other workers that the environment variable TF_CONFIG names; returns a strategy for
    `training.train`.

    TF_CONFIG is TensorFlow's standard way to describe a cluster: every worker's host and port, and
    which of them this process is. It must be called before TensorFlow's first operation. Raises
    TrainingError if TF_CONFIG is missing or cannot be understood.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        raise TrainingError(
            f"several workers need TensorFlow, not {keras.backend.backend()}: leave out `workers` "
            "or install TensorFlow"
        )
    try:
        described = parse_json(os.environ.get("TF_CONFIG", ""))
        workers, task = described["cluster"]["worker"], described["task"]
        fits = task["type"] == "worker" and 0 <= task["index"] < len(workers)
    except (ValueError, KeyError, TypeError):
        fits = False
    if not fits:
        raise TrainingError(
            "TF_CONFIG does not name the workers and which of them this is: set it to, for "
            'example, {"cluster": {"worker": ["host0:2222", "host1:2222"]}, '
            '"task": {"type": "worker", "index": 0}}'
        )
    import tensorflow as tf

    return tf.distribute.MultiWorkerMirroredStrategy()


def is_chief(strategy: Any) -> bool:
    """True for the one process of a training that writes: the only one, or worker 0."""
    return strategy is None or strategy.extended.should_checkpoint


class Trainer:
    """A network with all that a training changes: `model`, `optimizer`, and the two ways to use a
    batch, `train` and `evaluate`.

    network: NetworkConfig. config: TrainingConfig. updates: steps that the learning rate is laid
    out for: up linearly over `config.warmup`, then down as a cosine to 2 %. strategy: of
    `join_workers`; None takes all GPUs of this machine, or its processor. Raises TrainingError:
    here if the devices cannot share a batch evenly, in the methods if a worker is gone.
    """

    def __init__(
        self, network: NetworkConfig, config: Any, updates: int, strategy: Any = None
    ) -> None:
        import keras

        keras.utils.set_random_seed(config.seed)
        self.config, self.updates, self.strategy = config, updates, strategy
        self._several_workers = strategy is not None
        on_tensorflow = keras.backend.backend() == "tensorflow"
        make = self._tensorflow if on_tensorflow else self._any_backend
        self._train, self._evaluate = make(network)

    def train(self, inputs: np.ndarray, targets: np.ndarray) -> float:
        """Change the weights once; returns the mean loss before, a float, without the penalty.

        inputs, targets: (batch, T̂, m), exactly `config.batch` rows.
        """
        return float(self._together(self._train, inputs, targets))

    def evaluate(self, inputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """The mean loss of each window: (n, T̂, m), n ≤ `config.batch` → (n,)."""
        rows = np.arange(self.config.batch) % len(inputs)  # always of one shape: compiled once
        losses = self._together(self._evaluate, inputs[rows], targets[rows])
        return np.asarray(losses)[: len(inputs)]

    def agree(self, number: int) -> None:
        """Raise TrainingError unless all workers have come with the same `number`."""
        if not self._several_workers:
            return
        import tensorflow as tf

        def add_up():
            context = tf.distribute.get_replica_context()
            return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.constant(float(number)))

        total = self._together(tf.function(lambda: self.strategy.run(add_up)))
        (total, *_) = self.strategy.experimental_local_results(total)
        if float(total) != number * self.strategy.num_replicas_in_sync:
            raise TrainingError(
                "the workers begin at different places: give all of them the same folder for the "
                "run, on a disk that all of them see"
            )

    def _together(self, function, *arrays):
        """Call `function`; what TensorFlow says when a worker is gone becomes a sentence."""
        if not self._several_workers:
            return function(*arrays)
        from tensorflow.errors import OpError

        try:
            return function(*arrays)
        except OpError as problem:
            raise TrainingError(
                "another worker is gone, and the training stops: start all workers again with "
                "`resume=True`, and it goes on from the last checkpoint"
            ) from problem

    def _build(self, network, **options):
        import keras

        config = self.config
        schedule = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=0.0 if config.warmup else config.learning_rate,
            warmup_target=config.learning_rate if config.warmup else None,
            warmup_steps=config.warmup,
            decay_steps=max(1, self.updates - config.warmup),
            alpha=0.02,
        )
        self.model = networks.build(network, config.weight_penalty)
        self.optimizer = keras.optimizers.Adam(schedule, **options)
        self.optimizer.build(self.model.trainable_variables)

    def _tensorflow(self, network):
        import tensorflow as tf

        if self.strategy is None and len(tf.config.list_logical_devices("GPU")) > 1:
            self.strategy = tf.distribute.MirroredStrategy()
        strategy = self.strategy = self.strategy or tf.distribute.get_strategy()
        share, rest = divmod(self.config.batch, strategy.num_replicas_in_sync)
        if rest:
            raise TrainingError(
                f"a batch of {self.config.batch} windows cannot be shared evenly by "
                f"{strategy.num_replicas_in_sync} devices: choose a multiple for `batch`"
            )
        frames = self.config.batch * self.config.steps
        with strategy.scope():
            self._build(network)
        model, optimizer, clip = self.model, self.optimizer, self.config.clip
        variables = model.trainable_variables
        # XLA cannot compile what several devices do together.
        whole = network.units <= _SMALL and strategy.num_replicas_in_sync == 1
        loss = networks.loss(network, fused=not whole)

        def step(inputs, targets):
            with tf.GradientTape() as tape:
                cost = tf.reduce_sum(loss(targets, model(inputs, training=True))) / frames
                # The penalty λ/2 ‖θ‖² steers the training; what is reported is the likelihood.
                penalty = sum(model.losses) / strategy.num_replicas_in_sync
                total = cost + penalty
            gradients = tape.gradient(total, variables)
            cost, *gradients = tf.distribute.get_replica_context().all_reduce(
                tf.distribute.ReduceOp.SUM, [cost, *gradients]
            )
            # Clipped here: Keras would clip before it adds up, each device by itself.
            return cost, tf.clip_by_global_norm(gradients, clip)[0]

        @tf.function(jit_compile=whole, autograph=False)
        def train(inputs, targets):
            cost, gradients = strategy.run(step, (inputs, targets))
            with strategy.scope():
                # What optimizer.apply does, without adding up once more what is added up already.
                rate = optimizer.learning_rate
                for variable, gradient in zip(variables, gradients, strict=True):
                    strategy.extended.update(
                        variable.value,
                        lambda variable, gradient: optimizer.update_step(gradient, variable, rate),
                        args=(gradient,),
                    )
                optimizer.iterations.assign_add(1)
            return strategy.experimental_local_results(cost)[0]

        @tf.function(jit_compile=whole, autograph=False)
        def evaluate(inputs, targets):
            losses = strategy.run(
                lambda x, y: tf.reduce_mean(loss(y, model(x)), axis=1), (inputs, targets)
            )
            return strategy.gather(losses, axis=0)

        def shared(function):
            """Hand each device its rows of the batch: device i of n those from i/n on."""

            def call(*arrays):
                def part(array):
                    def rows(context):
                        begin = share * context.replica_id_in_sync_group
                        return tf.constant(array[begin : begin + share])

                    return strategy.experimental_distribute_values_from_function(rows)

                return function(*map(part, arrays))

            return call

        return shared(train), shared(evaluate)

    def _any_backend(self, network):
        from keras import ops

        self._build(network, global_clipnorm=self.config.clip)
        model, loss = self.model, networks.loss(network)
        model.compile(self.optimizer, loss)

        def train(inputs, targets):
            penalty = float(sum(model.losses))
            return model.train_on_batch(inputs, targets) - penalty

        def evaluate(inputs, targets):
            output = ops.convert_to_tensor(model.predict_on_batch(inputs))
            return ops.mean(loss(ops.convert_to_tensor(targets), output), axis=1)

        return train, evaluate
