"""Cuts single constructors, whole and resolved, out of an experiment's yaml."""

import sys
from collections.abc import Iterable, Mapping
from io import StringIO
from typing import Any

from hyperpyyaml import resolve_references
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedBase, CommentedMap

# What an installation of SpeechBrain brings along in any case.
ALWAYS_THERE = frozenset({"speechbrain", "torch", "torchaudio", "numpy"})

_CALLS = ("!new:", "!apply:")
_NAMING_TAGS = ("!new:", "!apply:", "!name:", "!module:", "!applyref:")


def constructor_nodes(
    hparams_yaml: str,
    keys: Iterable[str],
    overrides: Mapping[str, Any] | str | None = None,
) -> dict[str, Any]:
    """The nodes under some keys of a HyperPyYAML text, with nothing to look up.

    References (``!ref``, ``!copy``) and includes are replaced by what they
    stand for, so that a node can be written into another file. A node that
    two others refer to stays one object, and so one anchor when written.

    Arguments
    ---------
    hparams_yaml : str
        The text of an experiment's yaml: as it was written, or resolved, as
        SpeechBrain leaves it in the run folder. ``!include`` paths of an
        unresolved text are taken from the working directory.
    keys : Iterable[str]
        Top-level keys, each holding a ``!new:`` (or ``!apply:``) node.
    overrides : Mapping[str, Any] | str | None
        As for ``load_hyperpyyaml``; for an unresolved text.

    Returns
    -------
    dict[str, Any]
        For each key its node, in ruamel.yaml's round-trip form.

    Raises
    ------
    ValueError
        For a key that is missing, null, or not a constructor.

    Example
    -------
    >>> text = '''
    ... width: 8
    ... encoder: !new:torch.nn.Linear
    ...     in_features: !ref <width>
    ...     out_features: !ref <width> * 2
    ... model: !ref <encoder>
    ... '''
    >>> node = constructor_nodes(text, ["model"])["model"]
    >>> dict(node), node.tag.value
    ({'in_features': 8, 'out_features': 16}, '!new:torch.nn.Linear')
    """
    tree = _resolved_tree(hparams_yaml, overrides)
    return {key: _constructor(tree, key) for key in keys}


def top_level_values(
    hparams_yaml: str,
    keys: Iterable[str],
    overrides: Mapping[str, Any] | str | None = None,
) -> dict[str, Any]:
    """The plain values (numbers, strings) of a HyperPyYAML text.

    Arguments
    ---------
    hparams_yaml : str
        As for ``constructor_nodes``.
    keys : Iterable[str]
        Top-level keys. One that is missing or not a scalar is left out.
    overrides : Mapping[str, Any] | str | None
        As for ``constructor_nodes``.

    Returns
    -------
    dict[str, Any]
        The values that are there.

    Example
    -------
    >>> top_level_values("n_mels: 24\\nsize: !ref <n_mels>", ["size", "no"])
    {'size': 24}
    """
    tree = _resolved_tree(hparams_yaml, overrides)
    return {
        key: tree[key]
        for key in keys
        if isinstance(tree.get(key), (str, int, float))
    }


def required_packages(nodes: Iterable[Any]) -> list[str]:
    """Packages beyond SpeechBrain's own that the nodes' tags name.

    Arguments
    ---------
    nodes : Iterable[Any]
        Nodes as ``constructor_nodes`` gives them.

    Returns
    -------
    list[str]
        Names of top-level packages, sorted; empty where SpeechBrain alone
        can build the nodes.

    Example
    -------
    >>> text = "a: !new:my_lab.Net {act: !name:torch.nn.ReLU {}}"
    >>> required_packages(constructor_nodes(text, ["a"]).values())
    ['my_lab']
    """
    packages = set()
    for node in nodes:
        for name in _names(node):
            # A name without a module (getattr) is one of Python's own.
            if "." in name:
                packages.add(name.split(".")[0])
    return sorted(packages - ALWAYS_THERE - sys.stdlib_module_names)


def _resolved_tree(
    text: str, overrides: Mapping[str, Any] | str | None
) -> CommentedMap:
    """Parses a HyperPyYAML text and replaces every reference in it."""
    if overrides is not None and not isinstance(overrides, str):
        overrides = dict(overrides)
    tree = YAML().load(resolve_references(StringIO(text), overrides))
    if not isinstance(tree, CommentedMap):
        raise ValueError(
            "the experiment's yaml: expected keys and values at its top "
            f"level, came {type(tree).__name__}"
        )
    return tree


def _constructor(tree: CommentedMap, key: str) -> Any:
    """The node under a key, which must construct something."""
    if key not in tree:
        raise ValueError(
            f"the experiment's yaml has no key {key!r}; the export needs "
            f"'{key}: !new:...'. Its keys: {', '.join(map(str, tree))}"
        )
    tag = _tag(tree[key])
    if not tag.startswith(_CALLS):
        came = tag or repr(tree[key])
        raise ValueError(
            f"the key {key!r} of the experiment's yaml: expected a node "
            f"'!new:package.Class', came {came}"
        )
    _strip_comments(tree[key])
    return tree[key]


def _tag(node: Any) -> str:
    """The tag of a node, or an empty string."""
    tag = getattr(node, "tag", None)
    return str(getattr(tag, "value", None) or "")


def _strip_comments(node: Any) -> None:
    """Removes comments, which would land in the wrong place or tell too much."""
    if isinstance(node, CommentedBase):
        node.ca.comment = None
        node.ca.items.clear()
        node.ca.end = []
    for child in _children(node):
        _strip_comments(child)


def _children(node: Any) -> list[Any]:
    """What lies in a mapping or a sequence."""
    if isinstance(node, Mapping):
        return list(node.values())
    return list(node) if isinstance(node, list) else []


def _names(node: Any) -> Iterable[str]:
    """The dotted names in the tags of a node and of all that is in it."""
    tag = _tag(node)
    for prefix in _NAMING_TAGS:
        if tag.startswith(prefix):
            yield tag[len(prefix) :]
    for child in _children(node):
        yield from _names(child)
