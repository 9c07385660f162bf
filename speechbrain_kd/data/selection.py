"""Which utterance goes where: training, validation, test or nowhere."""

import logging
from dataclasses import dataclass, field

from speechbrain_kd.data.decoders import SAMPLE_RATE
from speechbrain_kd.data.manifest import validation_part
from speechbrain_kd.data.scan_file import Header

logger = logging.getLogger(__name__)

SINGLE_UTTERANCE = ("error", "drop", "train")
ON_BROKEN = ("error", "drop")


@dataclass(frozen=True)
class Rules:
    """What the user wants of the split.

    Arguments
    ---------
    valid_ratio : float
        Part of each training speaker's utterances that validates (0-1).
    seed : int
        Seed of the split.
    min_duration_s : float
        Shorter clips are left out of training and validation.
    single_utterance : str
        What to do about a training speaker with one utterance: ``error``,
        ``drop`` the speaker, or ``train`` on it without validating.
    on_broken : str
        What to do about files that cannot be read: ``error`` or ``drop``.
        One that the trial list needs is always an error.
    """

    valid_ratio: float
    seed: int
    min_duration_s: float
    single_utterance: str
    on_broken: str

    def __post_init__(self):
        if not 0 < self.valid_ratio < 1:
            raise ValueError(
                "split_ratio: expected a part for training and one for "
                "validation, both above 0, such as [90, 10]"
            )
        if self.min_duration_s < 0:
            raise ValueError(
                "min_duration_s: expected seconds, 0 or more, got "
                f"{self.min_duration_s}"
            )
        _one_of("single_utterance", self.single_utterance, SINGLE_UTTERANCE)
        _one_of("on_broken", self.on_broken, ON_BROKEN)


def _one_of(key: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(
            f"{key}: expected {' or '.join(allowed)}, got {value!r}"
        )


@dataclass
class Selection:
    """Sorts the utterances of one speaker after another, and keeps count.

    Arguments
    ---------
    rules : Rules
        What the user wants.
    test_speakers : set[str]
        Never in training.
    test_keys : set[str]
        Utterances of the trial list.
    """

    rules: Rules
    test_speakers: set[str]
    test_keys: set[str]
    speakers: list[str] = field(default_factory=list, init=False)
    single: list[str] = field(default_factory=list, init=False)
    broken: list[str] = field(default_factory=list, init=False)
    broken_test: list[str] = field(default_factory=list, init=False)
    short: int = field(default=0, init=False)
    resampled: int = field(default=0, init=False)
    mixed: int = field(default=0, init=False)
    utterances: dict[str, int] = field(default_factory=dict, init=False)
    seconds: dict[str, float] = field(default_factory=dict, init=False)

    def place(self, record: dict) -> list[tuple[str, Header]]:
        """Sorts a speaker's utterances.

        Arguments
        ---------
        record : dict
            What the scan found of a speaker.

        Returns
        -------
        list[tuple[str, Header]]
            ``train``, ``valid`` or ``test``, and the utterance.
        """
        for key, why in record["broken"]:
            needed = key in self.test_keys
            (self.broken_test if needed else self.broken).append(why)
        speaker, headers = record["speaker"], record["headers"]
        if speaker in self.test_speakers:
            placed = [("test", x) for x in headers if x.key in self.test_keys]
        else:
            placed = self._split(speaker, headers)
        for split, header in placed:
            self._count(split, header)
        return placed

    def _split(
        self, speaker: str, headers: list[Header]
    ) -> list[tuple[str, Header]]:
        rules = self.rules
        kept = [x for x in headers if x.duration_s >= rules.min_duration_s]
        self.short += len(headers) - len(kept)
        if len(kept) == 1:
            self.single.append(speaker)
        if not kept or len(kept) == 1 and rules.single_utterance != "train":
            return []
        self.speakers.append(speaker)
        keys = [header.key for header in kept]
        valid = validation_part(keys, speaker, rules.valid_ratio, rules.seed)
        return [("valid" if x.key in valid else "train", x) for x in kept]

    def _count(self, split: str, header: Header) -> None:
        self.utterances[split] = self.utterances.get(split, 0) + 1
        seconds = self.seconds.get(split, 0.0) + header.duration_s
        self.seconds[split] = seconds
        self.resampled += header.sample_rate != SAMPLE_RATE
        self.mixed += header.channels != 1

    def check(self) -> None:
        """Raises ValueError for what the rules do not allow."""
        broken = self.broken_test + self.broken
        if self.broken_test or broken and self.rules.on_broken == "error":
            needed = len(self.broken_test)
            note = f" ({needed} of them in the trial list)" if needed else ""
            raise ValueError(
                f"{len(broken)} files cannot be read{note}: remove or replace "
                "them, or set on_broken: drop (which does not do for files of "
                f"the trial list):\n{_first(broken, chr(10))}"
            )
        if self.single and self.rules.single_utterance == "error":
            raise ValueError(
                f"{len(self.single)} speakers have a single utterance, which "
                f"cannot be split: {_first(self.single)}. Set "
                "single_utterance: drop to leave them out, or train to train "
                "on them without validating"
            )
        if not self.utterances.get("train"):
            raise ValueError(
                "nothing is left to train on: all clips are shorter than "
                f"min_duration_s ({self.rules.min_duration_s}), unreadable, "
                "or their speaker's only one"
            )
        if not self.utterances.get("valid"):
            raise ValueError(
                "nothing is left to validate on: no training speaker has two "
                "utterances"
            )

    def report(self) -> None:
        """Says in the log what was taken and what was not."""
        for split in ("train", "valid", "test"):
            if self.utterances.get(split):
                hours = self.seconds[split] / 3600
                count = self.utterances[split]
                logger.info("%s: %d utterances, %.2f h", split, count, hours)
        logger.info("%d training speakers", len(self.speakers))
        said = (
            (self.resampled, "files are not at 16 kHz: resampled when read"),
            (self.mixed, "files are not mono: mixed when read"),
        )
        for count, text in said:
            if count:
                logger.info("%d %s", count, text)
        if self.short:
            limit = self.rules.min_duration_s
            logger.info("%d clips under %s s are left out", self.short, limit)
        if self.broken:
            text = "%d unreadable files are left out:\n%s"
            logger.warning(text, len(self.broken), _first(self.broken, "\n"))
        if self.single:
            logger.warning(
                "%d speakers have one utterance (single_utterance: %s): %s",
                len(self.single),
                self.rules.single_utterance,
                _first(self.single),
            )


def _first(names: list[str], separator: str = ", ", number: int = 10) -> str:
    rest = len(names) - number
    more = [f"and {rest} more"] if rest > 0 else []
    return separator.join(names[:number] + more)
