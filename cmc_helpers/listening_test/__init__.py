"""The composer test of the paper's section 1.3: can listeners tell generated music from real?

Before: `plan` draws a balanced random order and hides the key behind a commitment; `prepare` writes
the clips, all at one level, under names that tell nothing. During: `Answers` keeps every answer the
moment it is given. After: `score` opens the key, and `judge_one` or `judge_many` says what the
answers show: `verdicts`.

Notebook: 12.
"""

import errno
import hashlib
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cmc_helpers.audio import set_level, write_audio
from cmc_helpers.files import FileError, parse_json, readable_file, replacing
from cmc_helpers.listening_test.verdicts import ALIKE as ALIKE
from cmc_helpers.listening_test.verdicts import TAKEN as TAKEN
from cmc_helpers.listening_test.verdicts import TOLD as TOLD
from cmc_helpers.listening_test.verdicts import UNDECIDED as UNDECIDED
from cmc_helpers.listening_test.verdicts import VERDICTS as VERDICTS
from cmc_helpers.listening_test.verdicts import Verdict as Verdict
from cmc_helpers.listening_test.verdicts import judge_many as judge_many
from cmc_helpers.listening_test.verdicts import judge_one as judge_one
from cmc_helpers.listening_test.verdicts import power as power
from cmc_helpers.listening_test.verdicts import trials_needed as trials_needed

FAMILIAR = (0.1, 0.7)  # how much of all Bach a listener may have heard (paper, section 1.3)
PROTOCOLS = ("pair", "single")
PLAN, KEY = "test.json", "key.json"
_MOST = 10_000  # trials: nobody listens to more


class TestError(FileError):
    """A listening test that cannot be held or scored, in one sentence."""

    __test__ = False  # pytest takes what is called Test… for its own


@dataclass(frozen=True)
class Key:
    """What must stay hidden until the last answer. trials: for each, the names of its clips in the
    order in which they are played. generated: for each, the place of the generated clip in a pair
    (0 or 1), or whether a single clip is generated (1) or real (0). nonce: random, so that the
    commitment cannot be found by trying all keys."""

    protocol: str
    trials: tuple[tuple[str, ...], ...]
    generated: tuple[int, ...]
    nonce: str

    def to_text(self) -> str:
        """As JSON, always the same bytes for the same key."""
        return json.dumps(self.__dict__, sort_keys=True, ensure_ascii=False, indent=1)

    @property
    def commitment(self) -> str:
        """The SHA-256 of the key: published before the first answer, it shows afterwards that the
        key was not changed to fit."""
        return hashlib.sha256(self.to_text().encode("utf-8")).hexdigest()


def plan(real: Sequence[str], generated: Sequence[str], seed: int, protocol: str = "pair") -> Key:
    """Draw the trials: a `Key`.

    real, generated: names of clips, in a pair as many of each. protocol: "pair", one of each kind
    behind one another, which is generated? Or "single", one clip, is it generated? In a pair test
    the generated clip comes first in half of the trials (in one more or less where their number is
    odd); to answer always the same is to be right half the time. Take each clip from a piece of its
    own: several from one passage are not several witnesses. seed: the same one gives the same
    order; the nonce is always new. Raises TestError for too few clips, twice the same, or another
    protocol.
    """
    if protocol not in PROTOCOLS:
        raise TestError(f"there is no protocol {protocol!r}; choose one of {', '.join(PROTOCOLS)}")
    if not real or not generated or len({*real, *generated}) < len(real) + len(generated):
        raise TestError("give at least one real and one generated clip, and none of them twice")
    if len(real) != len(generated):
        raise TestError(
            f"{len(real)} real clips and {len(generated)} generated ones are not balanced: "
            "give as many of each"
        )
    rng = np.random.default_rng(seed)
    real, generated = list(rng.permutation(real)), list(rng.permutation(generated))
    if protocol == "pair":
        places = rng.permutation(np.arange(len(real)) % 2 ^ rng.integers(2))
        pairs = zip(real, generated, places, strict=True)
        trials: list[tuple[str, ...]] = [
            (ours, his) if place == 0 else (his, ours) for his, ours, place in pairs
        ]
    else:
        order = rng.permutation(2 * len(real))
        clips, places = np.array(real + generated)[order], (order >= len(real)).astype(int)
        trials = [(clip,) for clip in clips]
    return Key(
        protocol,
        tuple(tuple(map(str, trial)) for trial in trials),
        tuple(map(int, places)),
        secrets.token_hex(16),
    )


def prepare(
    folder: str | Path, key: Key, clips: Mapping[str, np.ndarray], sample_rate: int = 8000
) -> str:
    """Write what listeners hear into `folder`, and the key beside it; returns the commitment.

    clips: {name: waveform (samples,)}, all the key names. Each is set to the same level (−20 dBFS,
    see `audio.set_level`): a difference in loudness would give the answer away. They are called
    trial_001_a.wav and so on; test.json holds the protocol and the commitment. key.json is for the
    one who scores: double-blind means that whoever plays the clips has not opened it either.
    Raises TestError for a clip that is missing or silent, or a folder that holds a test already.
    """
    folder = Path(folder)
    if (folder / PLAN).exists():
        raise TestError(f"{folder} holds a listening test already: choose another folder")
    for name in (name for trial in key.trials for name in trial):
        if name not in clips or not np.any(clips[name]):
            raise TestError(f"the clip {name} is missing or silent: give a waveform for it")
    folder.mkdir(parents=True, exist_ok=True)
    for number, trial in enumerate(key.trials):
        for place, name in enumerate(trial):
            level = set_level(clips[name], sample_rate=sample_rate)
            write_audio(clip_path(folder, number, place), level, sample_rate)
    _write(folder / KEY, key.to_text())
    about = {
        "protocol": key.protocol,
        "trials": len(key.trials),
        "commitment": key.commitment,
    }
    _write(folder / PLAN, json.dumps(about, indent=1))  # last: it says that all is there
    return key.commitment


def clip_path(folder: str | Path, trial: int, place: int) -> Path:
    """Where the clip lies that comes first (place 0) or second (1) in a trial, from 0."""
    return Path(folder) / f"trial_{trial + 1:03}_{'ab'[place]}.wav"


def read_plan(folder: str | Path) -> dict[str, Any]:
    """What everybody may know of a test: its protocol, trials, commitment. Raises TestError."""
    path = Path(folder) / PLAN
    about = _read(path)
    fits = isinstance(about, dict) and about.get("protocol") in PROTOCOLS
    fits = fits and type(about.get("trials")) is int and 0 < about["trials"] <= _MOST
    if not (fits and isinstance(about.get("commitment"), str)):
        raise TestError(f"{path} does not describe a test: prepare it again")
    return about


class Answers:
    """One listener's answers, in a file of its own that grows by a line an answer.

    folder: of a prepared test. listener: a name for the file. familiarity: how much of all of
    Bach's music they believe to have heard, 0 to 1; only 0.1 to 0.7 counts (paper, section 1.3).
    A file that is there already is gone on with. Every answer is on the disk before `give`
    returns, so nothing that was answered is ever lost. What cannot be written raises TestError, and
    may be answered again.
    """

    def __init__(self, folder: str | Path, listener: str, familiarity: float | None = None) -> None:
        about = read_plan(folder)
        self.trials, self.path = about["trials"], Path(folder) / f"answers_{listener}.jsonl"
        if not str(listener).isidentifier():
            raise TestError(f"{listener!r} cannot name a file: use letters, digits and _")
        if lines := self._lines():
            head, *given = lines
            self.familiarity, self.given = head["familiarity"], [a["answer"] for a in given]
            self.commitment = head["commitment"]
            return
        if familiarity is None or not 0 <= familiarity <= 1:
            raise TestError(f"familiarity is a share from 0 to 1, not {familiarity}")
        self.familiarity, self.given = float(familiarity), []
        self.commitment = about["commitment"]
        self._append({"familiarity": self.familiarity, "commitment": about["commitment"]})

    @property
    def next_trial(self) -> int | None:
        """The number of the trial to play, from 0; None when all are answered."""
        return len(self.given) if len(self.given) < self.trials else None

    def give(self, answer: int) -> None:
        """Keep the answer to `next_trial`: 0 or 1, as in `Key.generated`."""
        if self.next_trial is None:
            raise TestError(f"all {self.trials} trials are answered")
        if answer not in (0, 1):
            raise TestError(f"an answer is 0 or 1, not {answer!r}")
        self._append({"trial": self.next_trial, "answer": int(answer)})
        self.given.append(int(answer))

    def _append(self, line):
        """Add a line that is on the disk afterwards, or nothing: TestError says why."""
        try:
            with self.path.open("ab", buffering=0) as file:
                size = file.tell()
                try:
                    written = file.write(text := json.dumps(line).encode() + b"\n")
                    os.fsync(file.fileno())
                    if written < len(text):
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                except OSError:
                    file.truncate(size)
                    raise
        except OSError as problem:
            raise TestError(
                f"{self.path} cannot be written: make room and answer again ({problem.strerror})"
            ) from problem

    def _lines(self):
        """All whole lines; one that a crash has cut off was never confirmed, and goes."""
        try:
            text = self.path.read_text("utf-8") if self.path.exists() else ""
        except ValueError as problem:
            raise TestError(f"{self.path} is damaged: it is not UTF-8 text") from problem
        whole = text[: text.rfind("\n") + 1]
        if not whole:
            self.path.unlink(missing_ok=True)  # cut off before anything was answered
            return []
        if whole != text:
            _write(self.path, whole.rstrip("\n"))
        try:
            head, *given = lines = [parse_json(line) for line in whole.rstrip("\n").split("\n")]
            if not all(answer["answer"] in (0, 1) for answer in given) or len(given) > self.trials:
                raise ValueError("a line holds no answer, or there are more than trials")
            if not 0 <= head["familiarity"] <= 1 or not isinstance(head["commitment"], str):
                raise ValueError("the first line does not say what an answer goes with")
        except (ValueError, KeyError, TypeError) as problem:
            raise TestError(f"{self.path} is damaged: {problem!s:.200}") from problem
        return lines


class Score(NamedTuple):
    """right (trials answered,): 1 or 0 for each. familiarity: as the listener said."""

    right: np.ndarray
    familiarity: float

    @property
    def counts(self) -> bool:
        """May this listener's answers count (paper, section 1.3)?"""
        return FAMILIAR[0] <= self.familiarity <= FAMILIAR[1]


def score(folder: str | Path) -> dict[str, Score]:
    """Open the key of a test and hold all answers against it: {listener: `Score`}.

    Raises TestError for a key that is not the one that was committed to, neither in test.json nor
    in what each listener's file wrote down before the first answer.
    """
    folder = Path(folder)
    about, key = read_plan(folder), _read(folder / KEY)
    try:
        key = Key(
            key["protocol"], tuple(map(tuple, key["trials"])), tuple(key["generated"]), key["nonce"]
        )
        commitment = key.commitment
        if not len(key.trials) == len(key.generated) == about["trials"]:
            raise ValueError("it is not of so many trials as the test")
    except (ValueError, KeyError, TypeError, RecursionError) as problem:
        raise TestError(
            f"{folder / KEY} is not the key of this test ({problem!s:.200})"
        ) from problem
    scores = {}
    for path in sorted(folder.glob("answers_*.jsonl")):
        if b"\n" not in path.read_bytes():
            continue  # cut off before anything was answered
        answers = Answers(folder, path.stem.removeprefix("answers_"))
        if not commitment == about["commitment"] == answers.commitment:
            raise TestError(f"{folder / KEY} is not the key that {path.name} was committed to")
        truth = np.array(key.generated[: len(answers.given)])
        scores[path.stem.removeprefix("answers_")] = Score(
            (truth == np.array(answers.given)).astype(int), answers.familiarity
        )
    return scores


def _write(path, text):
    with replacing(path, TestError) as temporary:
        temporary.write_text(text + "\n", "utf-8", newline="\n")


def _read(path):
    try:
        return parse_json(readable_file(path, TestError).read_text("utf-8"))
    except TestError:
        raise
    except ValueError as problem:
        raise TestError(
            f"{path} is damaged: prepare the test again ({problem!s:.200})"
        ) from problem
