"""What a store of embeddings is good for: its recipe, and its key."""

import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from speechbrain_kd.atomic import atomic_path
from speechbrain_kd.teachers.store_files import explained

logger = logging.getLogger(__name__)

FORMAT = 1  # of the records
_FILE = "recipe.json"
_KEY = 16  # hexadecimal digits
_SHOWN = 60  # characters of a value in a message


def make_recipe(
    teacher: str, fingerprint: str, dim: int, views: Mapping[str, Any]
) -> dict:
    """Puts together all that decides what the embeddings are.

    Arguments
    ---------
    teacher : str
        The teacher's source, for people to read; not in the key.
    fingerprint : str
        The teacher's fingerprint.
    dim : int
        Size of an embedding.
    views : Mapping[str, Any]
        How views are made, as plain values.

    Returns
    -------
    dict
        As JSON gives it back.

    Example
    -------
    >>> here = make_recipe("here", "ab", 2, {"seconds": 3.0})
    >>> there = make_recipe("there", "ab", 2, {"seconds": 3.0})
    >>> other = make_recipe("here", "ab", 2, {"seconds": 2.0})
    >>> recipe_key(here) == recipe_key(there) != recipe_key(other)
    True
    """
    recipe = {
        "format": FORMAT,
        "teacher": {"source": str(teacher), "fingerprint": str(fingerprint)},
        "dim": int(dim),
        "views": dict(views),
    }
    try:
        return json.loads(json.dumps(recipe, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(
            "The recipe of the views must hold plain values only (numbers, "
            f"texts, lists, mappings): {error}; got {dict(views)}"
        ) from error


def recipe_key(recipe: dict) -> str:
    """Gives the name of the folder that a recipe's embeddings lie in.

    Arguments
    ---------
    recipe : dict
        As of :func:`make_recipe`.

    Returns
    -------
    str
        16 hexadecimal digits.
    """
    teacher = {"fingerprint": recipe["teacher"]["fingerprint"]}
    text = json.dumps(
        {**recipe, "teacher": teacher}, sort_keys=True, separators=(",", ":")
    )
    return hashlib.sha256(text.encode()).hexdigest()[:_KEY]


def open_folder(folder: Path, recipe: dict) -> Path:
    """Finds or begins the folder of a recipe.

    Where others lie beside a new one, it is said what differs from the
    nearest: a setting changed by mistake costs a whole store.

    Arguments
    ---------
    folder : Path
        The folder of all stores.
    recipe : dict
        As of :func:`make_recipe`.

    Returns
    -------
    Path
        The recipe's own folder.

    Raises
    ------
    ValueError
        If the recipe that lies there is another's.
    """
    path = folder / recipe_key(recipe)
    if (path / _FILE).exists():
        _check(path)
        return path
    new = not path.exists()
    text = json.dumps(recipe, indent=2, ensure_ascii=False) + "\n"
    with explained(folder, len(text.encode())):
        path.mkdir(parents=True, exist_ok=True)
        with atomic_path(path / _FILE) as part:
            part.write_text(text, encoding="utf-8")
    if new:
        _announce(path, recipe)
    return path


def differences(recipe: dict, other: dict) -> list[str]:
    """Names the entries in which a recipe differs from another.

    Arguments
    ---------
    recipe : dict
        The new one.
    other : dict
        The old one.

    Returns
    -------
    list[str]
        Name, old value and new value of each.

    Example
    -------
    >>> old = make_recipe("t", "ab", 2, {"sentence_len": 3.0})
    >>> new = make_recipe("t", "ab", 2, {"sentence_len": 2.0})
    >>> differences(new, old)
    ['sentence_len (3.0, now 2.0)']
    """
    now, before = _flat(recipe), _flat(other)
    return [
        f"{name} ({before.get(name, 'absent')}, now {now.get(name, 'absent')})"
        for name in {**now, **before}
        if now.get(name) != before.get(name)
    ]


def _flat(recipe: dict) -> dict[str, str]:
    """Lists entries by name, those of the views by their own."""
    teacher = recipe["teacher"]
    flat = {
        "format": str(recipe["format"]),
        "dim": str(recipe["dim"]),
        # A moved teacher is the same: its fingerprint comes first.
        "teacher": teacher["fingerprint"][:8],
    }
    waiting = list(recipe["views"].items())
    while waiting:
        name, value = waiting.pop(0)
        if isinstance(value, dict) and value:
            waiting += [(f"{name}.{key}", one) for key, one in value.items()]
        else:
            text = json.dumps(value, ensure_ascii=False)
            if len(text) > _SHOWN:
                digest = hashlib.sha256(text.encode()).hexdigest()[:8]
                text = f"{text[: _SHOWN - 10]}… {digest}"
            flat[name] = text
    return flat


def _check(path: Path) -> None:
    """Raises where a folder's recipe does not belong to its name."""
    try:
        key = recipe_key(json.loads((path / _FILE).read_text("utf-8")))
    except (ValueError, KeyError, TypeError) as error:
        key = f"none that can be read ({type(error).__name__}: {error})"
    if key != path.name:
        raise ValueError(
            f"{path / _FILE} should hold the recipe with the key {path.name}, "
            f"its key is {key}: it was changed after the store was begun. "
            f"Put the file back, or remove the folder {path} to begin anew"
        )


def _announce(path: Path, recipe: dict) -> None:
    """Says what differs from the nearest store beside a new one."""
    nearest: tuple[str, list[str]] | None = None
    for file in sorted(path.parent.glob(f"*/{_FILE}")):
        if file.parent == path:
            continue
        try:
            found = differences(recipe, json.loads(file.read_text("utf-8")))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # not of this format: nothing to compare
        if nearest is None or len(found) < len(nearest[1]):
            nearest = (file.parent.name, found)
    if nearest is None:
        logger.info("%s begun", path)
        return
    logger.info(
        "%s begun; the nearest, %s, differs in %s",
        path,
        nearest[0],
        "; ".join(nearest[1]),
    )
