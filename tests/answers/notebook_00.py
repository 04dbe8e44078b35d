"""Answers to the exercises of notebook 00: right ones, and plausible mistakes."""

RIGHT = {
    "00.1": [lambda n: (n - 256) // 64 + 1],
    "00.3": [lambda K, m: 2 * K + K * m],
    "00.2": [lambda frames: (64 * (frames - 1) + 256) / 8000],
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
    "00.3": [
        ("a weight and σ per feature", lambda K, m: 3 * K * m, "for K = 1, m = 7"),
        ("K and m swapped", lambda K, m: 2 * m + K * m, "for K = 1, m = 7"),
        ("one σ for all", lambda K, m: K + 1 + K * m, "for K = 10, m = 1"),
        ("a full covariance", lambda K, m: K * (1 + m + m * m), "for K = 1, m = 7"),
    ],
    "00.2": [
        ("hops alone", lambda frames: frames / 125, "for frames = 1 your answer is 0.008"),
        ("windows end to end", lambda frames: frames * 256 / 8000, "for frames = 2"),
        ("in samples", lambda frames: 64 * (frames - 1) + 256, "but 0.032 is wanted"),
    ],
}
