"""What a teacher is said to be, held against what was loaded."""

from collections.abc import Mapping
from typing import Any


def check_expected(
    source: str, expected: Mapping[str, Any], found: Mapping[str, Any]
) -> None:
    """Refuses a teacher that is not the one that its yaml describes.

    Arguments
    ---------
    source : str
        The teacher, for messages.
    expected : Mapping[str, Any]
        Facts by name, such as ``{"classes": 7205}``.
    found : Mapping[str, Any]
        All facts of the loaded model.

    Raises
    ------
    ValueError
        Naming the facts that differ, or one that is not known.

    Example
    -------
    >>> check_expected("ann", {"classes": 2}, {"classes": 2, "n_mels": 80})
    >>> check_expected("ann", {"classes": 3}, {"classes": 2, "n_mels": 80})
    Traceback (most recent call last):
    ...
    ValueError: ann is not the model ... classes: expected 3, got 2. ...
    """
    unknown = [name for name in expected if name not in found]
    if unknown:
        raise ValueError(
            f"`expected` of the teacher {source} has {unknown[0]!r}: it may "
            f"have {', '.join(found)}"
        )
    wrong = [
        f"{name}: expected {value}, got {found[name]}"
        for name, value in expected.items()
        if value != found[name]
    ]
    if wrong:
        raise ValueError(
            f"{source} is not the model that its yaml describes: "
            f"{'; '.join(wrong)}. Correct `source` and `revision`, or "
            "`expected`"
        )
