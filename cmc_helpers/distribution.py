"""One training step, on one device or on many (paper, section 2.3: θ ← θ − α ∇E).

On TensorFlow a step is written out here, because that is what is fastest (see
`benchmarks/training.py`) and what `tf.distribute` can run on several devices: each takes its rows
of the same batch, the gradients are added up, and every device makes the same change. On any other
Keras backend the step is Keras' own.
"""

import numpy as np

from cmc_helpers import networks

# Units up to which a training step spends its time between operations, not in them: XLA compiles
# all of it. Of larger networks only the loss gains.
_SMALL = 64


class Trainer:
    """A network with all that a training changes: `model`, `optimizer`, and the two ways to use a
    batch, `train` and `evaluate`.

    network: NetworkConfig. config: TrainingConfig. updates: steps that the learning rate is laid
    out for: up linearly over `config.warmup`, then down as a cosine to 2 %.
    """

    def __init__(self, network, config, updates):
        import keras

        keras.utils.set_random_seed(config.seed)
        self.config, self.updates = config, updates
        on_tensorflow = keras.backend.backend() == "tensorflow"
        make = self._tensorflow if on_tensorflow else self._any_backend
        self._train, self._evaluate = make(network)

    def train(self, inputs, targets):
        """Change the weights once; returns the mean loss before, a float, without the penalty.

        inputs, targets: (batch, T̂, m), exactly `config.batch` rows.
        """
        return float(self._train(inputs, targets))

    def evaluate(self, inputs, targets):
        """The mean loss of each window: (n, T̂, m), n ≤ `config.batch` → (n,)."""
        rows = np.arange(self.config.batch) % len(inputs)  # always of one shape: compiled once
        return np.asarray(self._evaluate(inputs[rows], targets[rows]))[: len(inputs)]

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

        self._build(network)
        model, optimizer, clip = self.model, self.optimizer, self.config.clip
        whole = network.units <= _SMALL
        loss = networks.loss(network, fused=not whole)

        @tf.function(jit_compile=whole, autograph=False)
        def train(inputs, targets):
            with tf.GradientTape() as tape:
                cost = tf.reduce_mean(loss(targets, model(inputs, training=True)))
                # The penalty λ/2 ‖θ‖² steers the training; what is reported is the likelihood.
                total = cost + sum(model.losses)
            gradients = tape.gradient(total, model.trainable_variables)
            gradients, _ = tf.clip_by_global_norm(gradients, clip)
            optimizer.apply(gradients, model.trainable_variables)
            return cost

        @tf.function(jit_compile=whole, autograph=False)
        def evaluate(inputs, targets):
            return tf.reduce_mean(loss(targets, model(inputs)), axis=1)

        return train, evaluate

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
