"""Where all that is known of a frame are bands that overlap, such as those of a mel spectrogram."""

import numpy as np

from cmc_helpers.inversion.transform import BLOCK, TINY

UPDATES = 10  # of the first guess; 20 make it hardly better


class Filterbank:
    """A reduction of spectra to bands, and how a spectrum is held to what they say.

    A band is a weighted mean of magnitudes |X|, or of powers of them:

        value of band b = Σ_k matrix[b, k] · |X_k|^power

    matrix: (bands, bins), non-negative. power: 1 or 2 as a rule.
    """

    def __init__(self, matrix: np.ndarray, power: float) -> None:
        self.power = power
        totals = matrix.sum(axis=1, keepdims=True)
        weights = np.divide(matrix, totals, out=np.zeros(matrix.shape), where=totals > 0)
        heard = weights.sum(axis=0)
        shares = np.divide(weights, heard, out=np.zeros(matrix.shape), where=heard > 0)
        self.totals = totals[:, 0]
        self.weights = np.ascontiguousarray(weights.T, np.float32)  # of bins in a band: sum 1
        self.shares = shares.astype(np.float32)  # of bands in a bin: sum 1, or 0 if none hears it
        self.unheard = (heard == 0).astype(np.float32)

    def means(self, values: np.ndarray) -> np.ndarray:
        """Values of the bands (T, bands) → weighted means of |X|^power; 0 of a band of nothing."""
        return np.divide(values, self.totals, out=np.zeros(values.shape), where=self.totals > 0)

    def gain(self, wanted: np.ndarray, magnitudes: np.ndarray) -> np.ndarray:
        """What magnitudes (T, bins) are to be multiplied by for the means (T, bands) wanted.

        A band asks for wanted / found, a bin takes the mean of what its bands ask for, in the
        shares in which they hear it, and one that none hears stays as it is. This multiplicative
        update is Richardson's (1972) and Lucy's (1974), and that of Lee and Seung (NIPS 2000) for
        the Kullback–Leibler divergence; where bands do not overlap it is exact at once.
        """
        found = magnitudes**self.power @ self.weights
        gain = wanted / (found + TINY) @ self.shares + self.unheard
        return gain ** (1 / self.power)

    def expand(self, means: np.ndarray) -> np.ndarray:
        """Means (T, bands) → magnitudes (T, bins) to begin with; 0 where no band hears.

        Between the bands' centres the logarithm is interpolated, as every band's shares say; then
        a few updates bring the bands nearer to what they are.
        """
        # 100 dB below the loudest is silence, and has a logarithm.
        floor = max(means.max() * 1e-5**self.power, np.finfo(np.float32).tiny)
        magnitudes = np.empty((len(means), len(self.unheard)), np.float32)
        for start in range(0, len(means), BLOCK):
            wanted = means[start : start + BLOCK]
            guess = np.exp(np.log(np.maximum(wanted, floor)) @ self.shares / self.power)
            guess *= 1 - self.unheard
            for _ in range(UPDATES):
                guess *= self.gain(wanted, guess)
            magnitudes[start : start + BLOCK] = guess
        return magnitudes
