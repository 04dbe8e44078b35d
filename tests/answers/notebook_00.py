"""Answers to the exercises of notebook 00: right ones, and plausible mistakes."""

from fractions import Fraction

RIGHT = {
    "00.1": [
        lambda n: (n - 256) // 64 + 1,
        lambda n: len(range(0, n - 255, 64)),
        lambda n: -(-(n - 255) // 64),
    ],
    "00.3": [
        lambda K, m: 2 * K + K * m,
        lambda K, m: K * (m + 2),
    ],
    "00.2": [
        lambda frames: (64 * (frames - 1) + 256) / 8000,
        lambda frames: 0.032 + 0.008 * (frames - 1),
        lambda frames: Fraction(64 * frames + 192, 8000),
    ],
}

# number: (the mistake, the answer that makes it, words of the counter-example)
WRONG = {
    "00.1": [
        ("no overlap", lambda n: n // 256, "for n = 320"),
        ("forgets the first window", lambda n: (n - 256) // 64, "for n = 256"),
        ("rounds up", lambda n: -(-(n - 256) // 64) + 1, "for n = 319"),
        ("counts fractions of windows", lambda n: (n - 256) / 64 + 1, "1.98438"),
        ("padded at both ends", lambda n: 1 + n // 64, "for n = 256 your answer is 5, but 1"),
        ("text", lambda n: str((n - 256) // 64 + 1), "your answer, text, is not made of numbers"),
        ("rounded to the nearest", lambda n: round((n - 256) / 64) + 1, "for n = 319"),
    ],
    "00.3": [
        ("a weight and σ per feature", lambda K, m: 3 * K * m, "for K = 1, m = 7"),
        ("K and m swapped", lambda K, m: 2 * m + K * m, "for K = 1, m = 7"),
        ("one σ for all", lambda K, m: K + 1 + K * m, "for K = 10, m = 1"),
        ("a full covariance", lambda K, m: K * (1 + m + m * m), "for K = 1, m = 7"),
        ("almost", lambda K, m: K * (m + 2) + 0.01, "is 3.01, but 3 is wanted"),
    ],
    "00.2": [
        ("hops alone", lambda frames: frames / 125, "for frames = 1 your answer is 0.008"),
        ("windows end to end", lambda frames: frames * 256 / 8000, "for frames = 2"),
        ("in samples", lambda frames: 64 * (frames - 1) + 256, "but 0.032 is wanted"),
        ("whole seconds", lambda frames: (64 * frames + 192) // 8000, "is 0, but 0.032"),
        ("hundredths", lambda frames: round((64 * frames + 192) / 8000, 2), "is 0.03, but 0.032"),
    ],
}
