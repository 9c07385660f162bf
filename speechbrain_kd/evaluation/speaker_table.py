"""What a table says of speakers: gender, nationality, source corpus."""

import csv
from pathlib import Path

# A column with more values than this identifies, it does not group.
MAX_VALUES = 60


def read_speakers(path: str | Path) -> dict[str, dict[str, str]]:
    """Reads what a table says of speakers: CSV, or VoxCeleb's ``_meta.csv``.

    Arguments
    ---------
    path : str | Path
        A header line and a line for each speaker, separated by commas or
        tabs; the first column is the speaker's name.

    Returns
    -------
    dict[str, dict[str, str]]
        By column, the value of each speaker. Columns that do not group
        (one value for all, more than `MAX_VALUES`, or nearly one for each
        speaker) are left out.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If a line has more or fewer fields than the header, or a speaker
        comes twice.

    Example
    -------
    >>> path = getfixture("tmp_path") / "speakers.csv"
    >>> rows = ["id,corpus", "a,an4", "b,an4", "c,vox", "d,vox"]
    >>> _ = path.write_text(chr(10).join(rows))
    >>> read_speakers(path)["corpus"]["c"]
    'vox'
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such table of speakers")
    with open(path, newline="", encoding="utf-8-sig") as file:
        head = file.readline()
        file.seek(0)
        delimiter = "\t" if "\t" in head else ","
        rows = [
            [field.strip() for field in row]
            for row in csv.reader(file, delimiter=delimiter)
        ]
    header, table = (rows[0] if rows else []), {}
    for number, row in enumerate(rows[1:], start=2):
        if not any(row):
            continue
        if len(row) != len(header):
            raise ValueError(
                f"{path}, line {number}: expected {len(header)} fields as in "
                f"the header, got {len(row)}: {row}"
            )
        if row[0] in table:
            raise ValueError(
                f"{path}, line {number}: speaker {row[0]!r} comes twice"
            )
        table[row[0]] = row[1:]
    if not table:
        raise ValueError(f"{path}: expected a header and a line a speaker")
    columns = {
        name: {speaker: row[at] for speaker, row in table.items()}
        for at, name in enumerate(header[1:])
    }
    return {
        name: column
        for name, column in columns.items()
        if _groups(set(column.values()), len(table))
    }


def _groups(values: set[str], speakers: int) -> bool:
    """Whether a column parts the speakers into groups worth a rate."""
    return 1 < len(values) <= min(MAX_VALUES, speakers // 2)
