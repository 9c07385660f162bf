"""What the measurements share: options and tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from speechbrain_kd import markdown


@dataclass(frozen=True)
class Options:
    """What a measurement is given.

    Arguments
    ---------
    data_folder : str
        A corpus, as ``data_folder`` of a yaml; ``minivox`` is made on first
        use.
    work : Path
        For what the measurements write: packs, runs, stores.
    device : str
        ``"cpu"`` or ``"cuda"``.
    epochs : int
        Length of the training runs.
    batch_size : int
        Of the training runs.
    students : Path
        Folder of the students' fragments.
    student : str
        The one that the training runs train.
    teachers : tuple[str, ...]
        Fragments of the teachers that are measured.
    rounds : int
        Turns that each system of section ``training`` has.
    files : int
        Files of the synthetic tree of sections ``million`` and ``scaling``.
    views : tuple[int, ...]
        Numbers of views of section ``views``.
    seeds : tuple[int, ...]
        Seeds of section ``views``.
    overrides : tuple[str, ...]
        Further options of its runs.
    """

    data_folder: str = "minivox"
    work: Path = Path("results/bench/work")
    device: str = "cpu"
    epochs: int = 4
    batch_size: int = 64
    students: Path = Path("hparams/students")
    student: str = "ecapa_c64"
    teachers: tuple[str, ...] = ()
    rounds: int = 2
    files: int = 1_000_000
    views: tuple[int, ...] = (0, 1, 4, 8, 16)
    seeds: tuple[int, ...] = (1986, 1987, 1988)
    overrides: tuple[str, ...] = ()


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Markdown; the first column to the left, numbers to the right.

    Arguments
    ---------
    header : Sequence[str]
        Names of the columns.
    rows : Sequence[Sequence[object]]
        Cells; floats are given three digits that say something.

    Returns
    -------
    str
        Lines, each with its end.

    Example
    -------
    >>> print(table(["what", "ms"], [["a", 0.12345], ["b", 12345.0]]), end="")
    | what | ms |
    | --- | ---: |
    | a | 0.123 |
    | b | 12,345 |
    """
    cells = [[_cell(value) for value in row] for row in rows]
    return markdown.table(header, cells)


def _cell(value: object) -> str:
    """A value as people read it."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
