"""The training curves of a run, from the log that SpeechBrain writes."""

import re
from dataclasses import dataclass, field
from pathlib import Path

NUMBER = r"[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|nan|inf)"
ENTRY = re.compile(rf"(?P<key>[A-Za-z_][\w .@()/-]*?): (?P<value>{NUMBER})")


@dataclass
class History:
    """What was logged at each epoch.

    Arguments
    ---------
    epochs : list[int]
        The epochs, rising.
    series : dict[str, list[float | None]]
        By name ("train posteriors", "valid EER", "lr") a value for each
        epoch; None where an epoch has none.
    """

    epochs: list[int] = field(default_factory=list)
    series: dict[str, list[float | None]] = field(default_factory=dict)


def read_history(path: str | Path) -> History:
    """Reads ``train_log.txt``, which has a line for each epoch.

    Arguments
    ---------
    path : str | Path
        The log, or the folder of a run that holds it.

    Returns
    -------
    History
        Of an epoch that was run twice, the later line counts. Lines that are
        not of an epoch, such as that of a test, are passed over.

    Raises
    ------
    FileNotFoundError
        If there is no such log.
    ValueError
        If no line is of an epoch.

    Example
    -------
    >>> path = getfixture("tmp_path") / "train_log.txt"
    >>> _ = path.write_text(
    ...     "epoch: 1, lr: 1.00e-03 - train loss: 2.50 - valid EER: 2.0e-01"
    ... )
    >>> read_history(path).series
    {'lr': [0.001], 'train loss': [2.5], 'valid EER': [0.2]}
    """
    path = Path(path)
    path = path / "train_log.txt" if path.is_dir() else path
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such training log")
    lines: dict[int, dict[str, float]] = {}
    for line in path.read_text("utf-8", errors="replace").splitlines():
        entries = {
            match["key"].strip(): float(match["value"])
            for part in line.split(" - ")
            for match in ENTRY.finditer(part)
        }
        epoch = entries.pop("epoch", None)
        if epoch is not None and epoch == int(epoch):
            lines[int(epoch)] = entries
    if not lines:
        raise ValueError(
            f"{path}: expected a line 'epoch: 1, … - train loss: …' for each "
            "epoch, found none"
        )
    epochs = sorted(lines)
    names = dict.fromkeys(name for epoch in epochs for name in lines[epoch])
    return History(
        epochs,
        {name: [lines[epoch].get(name) for epoch in epochs] for name in names},
    )
