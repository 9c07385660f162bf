"""Where the time of an epoch goes."""

import json
import time
from collections.abc import Iterator
from pathlib import Path


class TimedLoader:
    """A loader that notes how long it was waited for.

    Arguments
    ---------
    loader : Iterable
        With a length.

    Example
    -------
    >>> timed = TimedLoader([[1, 2], [3]])
    >>> list(timed), timed.rows, len(timed)
    ([[1, 2], [3]], 3, 2)
    >>> 0 <= timed.wait_s <= timed.seconds
    True
    """

    def __init__(self, loader) -> None:
        self.loader = loader
        self.rows = 0
        self.wait_s = 0.0
        self._began = time.perf_counter()

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator:
        self._began = asked = time.perf_counter()
        for batch in self.loader:
            self.wait_s += time.perf_counter() - asked
            self.rows += len(batch)
            yield batch
            asked = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Since the first batch was asked for."""
        return time.perf_counter() - self._began

    def facts(self, epoch: int) -> dict[str, float]:
        """What ``note_epoch`` notes of an epoch's training, at its end.

        Arguments
        ---------
        epoch : int
            Its number.

        Returns
        -------
        dict[str, float]
            ``epoch``, ``utterances``, ``train_s``, ``wait_s`` and ``ended``,
            in seconds since 1970.
        """
        return {
            "epoch": epoch,
            "utterances": self.rows,
            "train_s": round(self.seconds, 4),
            "wait_s": round(self.wait_s, 4),
            "ended": time.time(),
        }


def note_epoch(path: str | Path, **facts: float) -> None:
    """Adds a line of JSON to a file.

    Arguments
    ---------
    path : str | Path
        The file.
    **facts : float
        What to note.
    """
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(facts) + "\n")


def read_epochs(path: str | Path) -> list[dict[str, float]]:
    """What ``note_epoch`` noted, in order.

    Arguments
    ---------
    path : str | Path
        The file.

    Returns
    -------
    list[dict[str, float]]
        As ``TimedLoader.facts``, of one rank, and what else was noted.
    """
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]
