"""Files of scores: a trial and its score a line."""

from pathlib import Path

import numpy as np

from speechbrain_kd.atomic import atomic_path
from speechbrain_kd.evaluation.trials import TrialList


def write_scores(
    path: str | Path, trials: TrialList, scores: np.ndarray
) -> None:
    """Writes ``label enrol test score`` a line, in the order of the trials.

    Of trials without labels, ``enrol test score``.

    Arguments
    ---------
    path : str | Path
        The text file to write.
    trials : TrialList
        The trials.
    scores : np.ndarray
        Their scores, [trials]. Enough digits are kept to give the same
        float32 back.

    Raises
    ------
    ValueError
        If scores and trials differ in number.

    Example
    -------
    >>> path = getfixture("tmp_path") / "scores.txt"
    >>> write_scores(path, TrialList([True], [0], [1], ["a", "b"]), [0.5])
    >>> path.read_text()
    '1 a b 0.5\\n'
    """
    if len(scores) != len(trials):
        raise ValueError(
            f"expected one score for each of {len(trials)} trials, got "
            f"{len(scores)}"
        )
    names, labels = trials.utterances, [""] * len(trials)
    if trials.labels is not None:
        labels = [f"{int(label)} " for label in trials.labels]
    with atomic_path(path) as part, open(part, "w", encoding="utf-8") as out:
        for label, enrol, test, score in zip(
            labels, trials.enrol, trials.test, scores, strict=True
        ):
            out.write(f"{label}{names[enrol]} {names[test]} {score:.9g}\n")


def read_scores(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Reads what ``write_scores`` wrote.

    Arguments
    ---------
    path : str | Path
        ``label enrol test score`` lines.

    Returns
    -------
    labels : np.ndarray
        bool, [trials]: whether the trial is of one speaker.
    scores : np.ndarray
        float32, [trials].

    Raises
    ------
    ValueError
        If a line is another.

    Example
    -------
    >>> path = getfixture("tmp_path") / "scores.txt"
    >>> write_scores(path, TrialList([True], [0], [1], ["a", "b"]), [0.5])
    >>> labels, scores = read_scores(path)
    >>> bool(labels[0]), float(scores[0])
    (True, 0.5)
    """
    trials, scores = read_scored_trials(path)
    return trials.labels, scores


def read_scored_trials(path: str | Path) -> tuple[TrialList, np.ndarray]:
    """Reads what ``write_scores`` wrote, the names of the utterances too.

    Arguments
    ---------
    path : str | Path
        ``label enrol test score`` lines.

    Returns
    -------
    trials : TrialList
        In the order of the lines; utterances in that of their names.
    scores : np.ndarray
        float32, [trials].

    Raises
    ------
    ValueError
        If a line is another.
    """
    text = Path(path).read_text(encoding="utf-8")
    rows = [line.split() for line in text.splitlines()]
    for number, row in enumerate(rows, 1):
        if len(row) != 4 or row[0] not in ("0", "1"):
            raise ValueError(
                f"{path}, line {number}: expected `label enrol test score`, "
                f"got {' '.join(row)!r}"
            )
    labels, *pairs, scores = zip(*rows, strict=True) if rows else [()] * 4
    names, at = np.unique(np.array(pairs, str), return_inverse=True)
    trials = TrialList(
        np.array(labels) == "1", *at.reshape(2, -1), names.tolist()
    )
    return trials, np.array(scores, dtype=np.float32)
