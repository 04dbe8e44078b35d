"""Would somebody who has heard other music know better how 100 features become 257 magnitudes?

    .venv/bin/python tools/benchmarks/learned_expansion.py [--output learned_expansion.md]

For each clip of `inversion_clips.py` in turn, a linear regression learns from the twelve others
how magnitudes lie inside the groups of 4 and of 8 bins (from 1.5 kHz on), given the amplitudes of
seven groups in five frames; or from the clip's own first half. Then the features of its second half
are expanded. The errors are those of the
magnitudes as they are expanded, before any search for phases: spectral convergences in dB, lower
is better.
"""

import argparse
import datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
from inversion_clips import clips
from sklearn.linear_model import Ridge

from cmc_helpers.features import (
    GROUP_WIDTHS,
    FeatureConfig,
    magnitude_spectrogram,
    reduce_magnitudes,
    weight,
)
from cmc_helpers.inversion import expand, match_groups, spectral_convergence
from cmc_helpers.terminal import terminal_progress

CONFIG = FeatureConfig.preset("paper")
STARTS = np.cumsum(GROUP_WIDTHS) - GROUP_WIDTHS
FRAMES, GROUPS = 2, 3  # that are looked at on either side


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--clips", nargs="*", help="only these")
    parser.add_argument("--output", help="a Markdown file for the table")
    given = parser.parse_args(arguments)
    sounds = clips(given.seconds)
    spectra = {
        name: magnitude_spectrogram(weight(sounds[name], CONFIG), CONFIG)
        for name in given.clips or sounds
    }
    lines = ["| | spline | learned from the others | from its first half |", "|---|---:|---:|---:|"]
    errors = []
    with terminal_progress("Learning") as progress:
        for i, (name, magnitudes) in enumerate(spectra.items()):
            others = [m for other, m in spectra.items() if other != name]
            first, second = np.array_split(magnitudes, 2)
            features = reduce_magnitudes(second)
            guesses = [expand(features)]
            guesses += [expand_as_learned(features, learn(heard)) for heard in (others, [first])]
            errors.append([spectral_convergence(second, guess) for guess in guesses])
            lines.append("| {} | {:.1f} | {:.1f} | {:.1f} |".format(name, *errors[-1]))
            progress(i + 1, len(spectra), name)
    lines.append("| **mean** | {:.1f} | {:.1f} | {:.1f} |".format(*np.mean(errors, axis=0)))
    text = f"{datetime.date.today()}, `python tools/benchmarks/learned_expansion.py`; scikit-learn "
    text += version("scikit-learn") + "\n\n" + "\n".join(lines)
    print(text)
    if given.output:
        Path(given.output).write_text(text + "\n", "utf-8")


def learn(spectra):
    """{width: regression from `surroundings` to the bins of a group of that width}."""
    learned = {}
    for width in (4, 8):
        seen, bins = [], []
        for magnitudes in spectra:
            magnitudes = magnitudes / magnitudes.max()
            features = reduce_magnitudes(magnitudes)
            for group in np.flatnonzero(GROUP_WIDTHS == width):
                seen.append(surroundings(features, group))
                bins.append(magnitudes[:, STARTS[group] : STARTS[group] + width])
        ridge = Ridge(alpha=1e-4, fit_intercept=False)
        learned[width] = ridge.fit(np.concatenate(seen), np.concatenate(bins))
    return learned


def surroundings(features, group):
    """The amplitudes around a group: (T, 35)."""
    padded = np.pad(features, ((FRAMES, FRAMES), (GROUPS, GROUPS)), mode="edge")
    around = np.lib.stride_tricks.sliding_window_view(padded, (2 * FRAMES + 1, 2 * GROUPS + 1))
    return around[:, group].reshape(len(features), -1)


def expand_as_learned(features, learned):
    """Features (T, 100) → magnitudes (T, 257); below 1.5 kHz, the spline's."""
    magnitudes = expand(features)
    for group in np.flatnonzero(GROUP_WIDTHS >= 4):
        bins = learned[GROUP_WIDTHS[group]].predict(surroundings(features, group))
        magnitudes[:, STARTS[group] : STARTS[group] + GROUP_WIDTHS[group]] = np.maximum(bins, 0)
    return match_groups(magnitudes, features)


if __name__ == "__main__":
    main()
