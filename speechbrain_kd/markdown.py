"""Tables in Markdown."""

from collections.abc import Sequence


def table(
    header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1
) -> str:
    """A table; the first columns to the left, others to the right.

    Arguments
    ---------
    header : Sequence[str]
        Names of the columns.
    rows : Sequence[Sequence[str]]
        Cells.
    left : int
        How many columns are words.

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
    lines = [header, ["---"] * left + ["---:"] * (len(header) - left)]
    lines += [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
