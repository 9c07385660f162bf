"""Tables in Markdown."""

from collections.abc import Sequence


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; the first column to the left, others to the right.

    Arguments
    ---------
    header : Sequence[str]
        Names of the columns.
    rows : Sequence[Sequence[str]]
        Cells.

    Returns
    -------
    str
        Lines, each with its end.

    Example
    -------
    >>> print(table(["system", "EER"], [["a|b", "1 %"]]), end="")
    | system | EER |
    | --- | ---: |
    | a\\|b | 1 % |
    """
    lines = [header, ["---", *["---:"] * (len(header) - 1)]]
    lines += [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
