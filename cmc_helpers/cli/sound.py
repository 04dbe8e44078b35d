"""Sound and features: `cmc features` and `cmc invert`."""

import click

from cmc_helpers import inversion
from cmc_helpers.audio import read_audio, write_audio
from cmc_helpers.cli.shared import SOUND, check_output, duration, output_option, preset_option, say
from cmc_helpers.features import FeatureConfig, extract_features
from cmc_helpers.files import FileError
from cmc_helpers.vectors import read_csv, write_csv


@click.command("features")
@click.argument("audio")
@output_option("The CSV file to write.")
@preset_option("How sound becomes numbers.", default="default")
def features_command(audio: str, output: str, preset: str) -> None:
    """Turn the recording AUDIO into features.

    The CSV file gets a line of 100 numbers for every frame, 125 frames per second. AUDIO may be
    WAV, FLAC, Ogg, MP3, AIFF, AU, CAF or W64, at any sample rate, with any number of channels.
    """
    config = FeatureConfig.preset(preset)
    check_output(output, ".csv")
    features = extract_features(read_audio(audio, config.sample_rate), config)
    write_csv(output, features)
    say(f"{output}: {duration(len(features), config)}")


_ITERATIONS = ", ".join(
    f"{method.iterations} for {name}" for name, method in inversion.METHODS.items()
)


@click.command("invert")
@click.argument("features", metavar="F.csv")
@output_option("The sound file to write: .wav, .flac or .ogg, 8 kHz, mono.")
@preset_option("How the features were made.", default="default")
@click.option(
    "--method",
    type=click.Choice(tuple(inversion.METHODS)),
    default="pghi-fast-griffin-lim",
    help="How the phase is found; slaney is the paper's way.",
)
@click.option(
    "--iterations",
    type=click.IntRange(0, 10_000),
    help="How often the phase is refined.",
    show_default=_ITERATIONS,
)
def invert_command(
    features: str, output: str, preset: str, method: str, iterations: int | None
) -> None:
    """Turn features back into sound.

    F.csv holds a line of 100 numbers for every frame, as cmc features writes it.
    """
    config = FeatureConfig.preset(preset)
    check_output(output, *SOUND)
    vectors = read_csv(features)
    if vectors.shape[1] != 100:
        raise FileError(
            f"{features} has {vectors.shape[1]} columns but a frame has 100 features: give a file "
            "made by cmc features or cmc generate"
        )
    options = {} if iterations is None else {"iterations": iterations}
    waveform = inversion.invert_features(vectors, config, method, **options)
    write_audio(output, waveform, config.sample_rate)
    say(f"{output}: {duration(len(vectors), config)}")
