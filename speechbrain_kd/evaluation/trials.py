"""Trial lists: which pairs of utterances are compared, and the truth."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(eq=False)
class TrialList:
    """Pairs of utterances, each said to be of one speaker or of two.

    Every utterance is held once, however many trials it is in.

    Arguments
    ---------
    labels : np.ndarray
        True for a target trial (one speaker), [trials].
    enrol : np.ndarray
        Position in ``utterances`` of the first of each pair, [trials].
    test : np.ndarray
        Position of the second, [trials].
    utterances : list[str]
        The distinct utterances.

    Example
    -------
    >>> trials = TrialList([True, False], [0, 0], [1, 2], ["a", "b", "c"])
    >>> len(trials)
    2
    >>> trials.split([0.9, 0.1])
    (array([0.9]), array([0.1]))
    """

    labels: np.ndarray
    enrol: np.ndarray
    test: np.ndarray
    utterances: list[str]

    def __post_init__(self) -> None:
        """Makes arrays of lists and checks that they fit each other."""
        self.labels = np.asarray(self.labels, dtype=bool)
        self.enrol = np.asarray(self.enrol, dtype=np.int64)
        self.test = np.asarray(self.test, dtype=np.int64)
        shapes = {self.labels.shape, self.enrol.shape, self.test.shape}
        if shapes != {(self.labels.size,)}:
            raise ValueError(
                "labels, enrol and test must be as long as each other, got "
                f"{self.labels.shape}, {self.enrol.shape}, {self.test.shape}"
            )
        used = np.concatenate([self.enrol, self.test])
        if used.size and not 0 <= used.min() <= used.max() < len(
            self.utterances
        ):
            raise ValueError(
                f"trials name utterances {used.min()} to {used.max()}, but "
                f"there are {len(self.utterances)}"
            )

    def __len__(self) -> int:
        """Number of trials."""
        return self.labels.size

    def split(self, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Parts scores into those of target and of impostor trials.

        Arguments
        ---------
        scores : np.ndarray
            One score a trial, [trials].

        Returns
        -------
        target_scores : np.ndarray
            Scores of the trials of one speaker.
        impostor_scores : np.ndarray
            Scores of the trials of two speakers.

        Raises
        ------
        ValueError
            If scores and trials differ in number, or all trials are of one
            class, so that no error rate exists.
        """
        scores = np.asarray(scores)
        if scores.shape != self.labels.shape:
            raise ValueError(
                f"expected one score for each of {len(self)} trials, got "
                f"scores of shape {scores.shape}"
            )
        targets = int(self.labels.sum())
        if targets in (0, len(self)):
            missing = "target (label 1)" if targets == 0 else "impostor (0)"
            raise ValueError(
                f"the trial list has {len(self)} trials and no {missing} one: "
                "error rates need trials of both classes"
            )
        return scores[self.labels], scores[~self.labels]


def read_trials(path: str | Path) -> TrialList:
    """Reads a trial list in VoxCeleb's format, ``label enrol test`` a line.

    Arguments
    ---------
    path : str | Path
        A text file; label 1 is a target trial, 0 an impostor trial. Blank
        lines are ignored.

    Returns
    -------
    TrialList
        The trials, in the order of the file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If a line cannot be read (with its number and content), or the file
        holds no trial.

    Example
    -------
    >>> path = getfixture("tmp_path") / "trials.txt"
    >>> _ = path.write_text(
    ...     "1 s1/1.wav s1/2.wav" + chr(10) + "0 s1/1.wav s2/1.wav"
    ... )
    >>> read_trials(path).utterances
    ['s1/1.wav', 's1/2.wav', 's2/1.wav']
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such trial list")
    position: dict[str, int] = {}
    rows = []
    try:
        with open(path, encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, start=1):
                fields = line.split()
                if fields:
                    _check_fields(fields, path, number, line)
                    enrol = position.setdefault(fields[1], len(position))
                    test = position.setdefault(fields[2], len(position))
                    rows.append((fields[0] == "1", enrol, test))
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path}: not a text file in UTF-8 ({error}); expected lines of "
            "'label enrol test'"
        ) from error
    if not rows:
        raise ValueError(
            f"{path}: no trial in the file; expected lines of "
            "'label enrol test', such as '1 id1/a/1.wav id1/b/2.wav'"
        )
    labels, enrol, test = zip(*rows, strict=True)
    return TrialList(labels, enrol, test, list(position))


def _check_fields(
    fields: list[str], path: Path, number: int, line: str
) -> None:
    """Raises unless a line is 'label enrol test' with label 0 or 1."""
    if len(fields) != 3 or fields[0] not in ("0", "1"):
        raise ValueError(
            f"{path}, line {number}: expected 'label enrol test' with label "
            f"0 or 1, got {line.rstrip()[:200]!r}"
        )
