"""What a way to spoil a good model is: to be refused by name."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple


class Case(NamedTuple):
    """A function of the folder and of a file that must never come to be (its
    code would make it); and the name and the words that the refusal has."""

    spoil: Callable[[Path, Path], object]
    file: str
    words: str
