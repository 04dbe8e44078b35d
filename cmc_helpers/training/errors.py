"""What a training says when it cannot start or go on."""

from cmc_helpers.files import FileError


class TrainingError(FileError):
    """A training that cannot start or go on, in one sentence."""
