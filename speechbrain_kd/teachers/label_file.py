"""The text that a CategoricalEncoder writes: a class and its index a line."""

import ast
from collections.abc import Iterator
from pathlib import Path

from speechbrain.dataio.encoder import CategoricalEncoder

_LARGEST = 64 * 1024**2  # bytes; 7205 speakers take 150,000
_LONGEST = 1000  # characters of a line
_LAST = "'starting_index'"


def check_labels(path: str | Path) -> None:
    """Makes sure that a label encoder can be read from a file.

    Arguments
    ---------
    path : str | Path
        A ``label_encoder.txt``.

    Raises
    ------
    ValueError
        Naming the file, and the line that is not ``'label' => index`` or that
        gives a label or an index for the second time; or that no line gives
        the ``starting_index``.

    Example
    -------
    >>> path = Path(getfixture("tmp_path")) / "label_encoder.txt"
    >>> _ = path.write_text("'ann' => 0\\n'bob' => 0\\n")
    >>> check_labels(path)
    Traceback (most recent call last):
    ...
    ValueError: .../label_encoder.txt, line 2: the index 0 stands twice
    """
    path = Path(path)
    if path.stat().st_size > _LARGEST:
        raise ValueError(
            f"{path} has {path.stat().st_size} bytes: a label encoder has at "
            f"most {_LARGEST}"
        )
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is no label encoder, which is a text in UTF-8: {error}"
        ) from error
    labels: set[str | int] = set()
    indices: set[int] = set()
    for number, label, index in _classes(text, path):
        for what, one, known in (
            ("label", label, labels),
            ("index", index, indices),
        ):
            if one in known:
                raise ValueError(
                    f"{path}, line {number}: the {what} {one!r} stands twice"
                )
        labels.add(label)
        indices.add(index)
    if not labels:
        raise ValueError(f"{path} is no label encoder: it holds no label")
    if f"\n{_LAST}{CategoricalEncoder.VALUE_SEPARATOR}" not in text:
        raise ValueError(
            f"{path} is cut short: a label encoder ends in {_LAST} => 0"
        )


def _classes(text: str, path: Path) -> Iterator[tuple[int, str | int, int]]:
    """Line, label and index of each class; checks the lines after them."""
    classes = True
    # As a file is read: str.splitlines would also split at other signs.
    for number, line in enumerate(text.removesuffix("\n").split("\n"), 1):
        if f"{line}\n" == CategoricalEncoder.EXTRAS_SEPARATOR:
            classes = False
            continue
        key, value = _literals(line, number, path)
        if not classes:
            continue
        if isinstance(key, str | int) and type(value) is int:
            yield number, key, value
        else:
            raise _refused(line, number, path)


def _literals(line: str, number: int, path: Path) -> tuple[object, object]:
    """Both sides of a line."""
    left, found, right = line.partition(CategoricalEncoder.VALUE_SEPARATOR)
    if not found or len(line) > _LONGEST:
        raise _refused(line, number, path)
    try:
        return ast.literal_eval(left.strip()), ast.literal_eval(right.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        raise _refused(line, number, path) from None


def _refused(line: str, number: int, path: Path) -> ValueError:
    """The error of a line."""
    return ValueError(
        f"{path}, line {number}: expected 'label' => index, got {line[:60]!r}"
    )
