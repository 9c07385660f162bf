"""Yaml that is read, merged and written, and makes no objects."""

import re
from collections.abc import Mapping
from typing import Any

import ruamel.yaml


def merge(tree: dict, overrides: Mapping) -> None:
    """Merges mappings; all else, and what has a tag of its own, replaces.

    Arguments
    ---------
    tree : dict
        As `round_trip` loads it; changed in place.
    overrides : Mapping
        What stands over it.

    Example
    -------
    >>> tree = {"a": {"b": 1, "c": 2}, "d": 3}
    >>> merge(tree, {"a": {"b": 5}, "d": [4]})
    >>> tree
    {'a': {'b': 5, 'c': 2}, 'd': [4]}
    """
    for key, value in overrides.items():
        before = tree.get(key)
        if not isinstance(value, Mapping) or tag_of(value):
            tree[key] = value
        elif isinstance(before, Mapping):
            merge(before, value)
        else:
            # An include with keys beneath it is an include with overrides.
            node = ruamel.yaml.comments.CommentedMap(value)
            if tag_of(before).startswith("!include:"):
                node.yaml_set_ctag(ruamel.yaml.Tag(suffix=tag_of(before)))
            tree[key] = node


def mended(text: str) -> str:
    """Mends what ruamel.yaml makes of a fragment that stands in a list.

    It writes ``- !new:Class key: value`` on one line where a comment stands
    before the item, and the tag is then the key's.

    Arguments
    ---------
    text : str
        As ruamel.yaml wrote it.

    Returns
    -------
    str
        The same tree.
    """
    text = re.sub(r"(?m)^ *#.*\n(?=(?: *#.*\n)* *- !)", "", text)
    item = r"(?m)^( *)- (!(?:new|name|apply):\S+) (?=\w+:(?: |$))"
    return re.sub(item, r"\1- \2\n\1  ", text)


def parse_overrides(text: str) -> dict:
    """The options of the command line, as SpeechBrain hands them on.

    Arguments
    ---------
    text : str
        Yaml.

    Returns
    -------
    dict
        By key; ValueError where it is none, or a key comes twice.

    Example
    -------
    >>> dict(parse_overrides("seed: 3"))
    {'seed': 3}
    """
    try:
        tree = round_trip().load(text) or {}
    except ruamel.yaml.error.MarkedYAMLError as error:
        line = text.splitlines()[error.problem_mark.line]
        raise ValueError(
            f"--{line}: expected --KEY=VALUE, once for each key, with a yaml "
            f"value: {error.problem}"
        ) from None
    if not isinstance(tree, dict):
        raise ValueError(f"expected options --KEY=VALUE; got {text}")
    return tree


def tag_of(node: Any) -> str:
    """The tag that stands before a node, or nothing."""
    return getattr(getattr(node, "tag", None), "value", None) or ""


def round_trip() -> ruamel.yaml.YAML:
    """A loader that keeps tags and constructs nothing."""
    return ruamel.yaml.YAML()
