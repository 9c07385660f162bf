"""Options of ``train_kd.py`` as they stand in a plan, and as arguments.

They are kept as yaml nodes, so that what has a tag (``!new:``, ``!include:``)
is handed on and never made here.
"""

import hashlib
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import yaml

INCLUDE = "!include:"
_YAML_FILE = re.compile(r"[^\s'\"{}\[\],=:]+\.ya?ml\b")
_PLACE = re.compile(r"<([a-z][\w-]*)>")

#: Option name, with a dot where it goes deeper, and its value.
Pairs = Sequence[tuple[str, yaml.Node]]


def pairs_of(node: yaml.Node | None, what: str) -> list[tuple[str, yaml.Node]]:
    """The keys and values of a mapping, in their order.

    Arguments
    ---------
    node : yaml.Node | None
        The mapping; None or null is an empty one.
    what : str
        What it is, for the message.

    Returns
    -------
    list[tuple[str, yaml.Node]]
        Keys with their values.

    Raises
    ------
    ValueError
        If it is no mapping.

    Example
    -------
    >>> [key for key, _ in pairs_of(yaml.compose("{lr: 1, seed: 2}"), "it")]
    ['lr', 'seed']
    """
    if node is None or (
        isinstance(node, yaml.ScalarNode) and node.value in ("", "null", "~")
    ):
        return []
    if not isinstance(node, yaml.MappingNode):
        raise ValueError(f"{what}: expected keys and values, got {text(node)}")
    return [(key.value, value) for key, value in node.value]


def arguments(pairs: Pairs, places: Mapping[str, str]) -> list[str]:
    """Options as ``--KEY=VALUE``, a later one over an earlier.

    Arguments
    ---------
    pairs : Sequence[tuple[str, yaml.Node]]
        A key with dots sets a value within what its first part has been
        given: ``distillation.weights.embedding``. A yaml fragment that is
        named there is then included with that one value changed.
    places : Mapping[str, str]
        What ``<name>`` in a value stands for.

    Returns
    -------
    list[str]
        An argument for each first part, in order.

    Raises
    ------
    ValueError
        If a place is not known, or a value cannot be told on a command line.

    Example
    -------
    >>> plan = "{teacher: null, lr: 1, a.b: <x>, lr: 2}"
    >>> arguments(pairs_of(yaml.compose(plan), "it"), {"x": "here"})
    ['--teacher=null', '--lr=2', '--a={b: here}']
    """
    found: dict[str, yaml.Node] = {}
    for name, value in pairs:
        key, *deeper = name.split(".")
        value = _placed(value, places, name)
        found[key] = _set(found.get(key), deeper, value) if deeper else value
    made = []
    for key, value in found.items():
        said = text(value)
        if "=" in said:
            raise ValueError(
                f"{key}: a value with = cannot be told on a command line; "
                f"write a fragment and name its file instead of {said}"
            )
        made.append(f"--{key}={said}")
    return made


def _set(
    before: yaml.Node | None, keys: list[str], value: yaml.Node
) -> yaml.Node:
    """The node with a value within it changed; the old one stays as it was."""
    if not keys:
        return value
    tag, pairs = "tag:yaml.org,2002:map", []
    if isinstance(before, yaml.MappingNode):
        tag, pairs = before.tag, list(before.value)
    elif isinstance(before, yaml.ScalarNode):
        if before.tag.startswith(INCLUDE):
            tag = before.tag
        elif Path(before.value).suffix in (".yaml", ".yml"):
            tag = INCLUDE + str(Path(before.value).absolute())
    inner = [one for key, one in pairs if key.value == keys[0]]
    changed = _set(inner[0] if inner else None, keys[1:], value)
    others = [pair for pair in pairs if pair[0].value != keys[0]]
    name = yaml.ScalarNode("tag:yaml.org,2002:str", keys[0])
    return yaml.MappingNode(tag, [*others, (name, changed)])


def _placed(node: yaml.Node, places: Mapping[str, str], name: str) -> yaml.Node:
    """The node with places filled in and includes told in full."""
    tag = node.tag
    if tag.startswith(INCLUDE):
        tag = INCLUDE + str(Path(tag[len(INCLUDE) :]).absolute())
    if isinstance(node, yaml.ScalarNode):
        value = node.value
        if not tag.startswith("!"):  # <lr> of !ref <lr> is no place
            value = fill(value, places, name)
        return yaml.ScalarNode(tag, value, style=node.style)
    if isinstance(node, yaml.SequenceNode):
        items = [_placed(one, places, name) for one in node.value]
        return yaml.SequenceNode(tag, items)
    pairs = [(key, _placed(one, places, name)) for key, one in node.value]
    return yaml.MappingNode(tag, pairs)


def fill(value: str, places: Mapping[str, str], name: str) -> str:
    """Puts places in: ``<name>``.

    Arguments
    ---------
    value : str
        Text with places.
    places : Mapping[str, str]
        What they stand for.
    name : str
        The key, for the message.

    Returns
    -------
    str
        The text. ValueError where a place is not known.

    Example
    -------
    >>> fill("cam.yaml,source=<campplus>", {"campplus": "c.onnx"}, "teacher")
    'cam.yaml,source=c.onnx'
    """

    def place(found: re.Match) -> str:
        if not places.get(found[1]):
            raise ValueError(
                f"{name}: nothing is given for <{found[1]}>: give "
                f"--{found[1]}=PATH"
            )
        return places[found[1]]

    return _PLACE.sub(place, value)


def text(node: yaml.Node) -> str:
    """A node on one line.

    Example
    -------
    >>> text(yaml.compose("a: !new:b.C  # comment"))
    "{a: !new:b.C ''}"
    """
    flow = _flow(node)
    key = yaml.ScalarNode("tag:yaml.org,2002:str", "k")
    whole = yaml.MappingNode(
        "tag:yaml.org,2002:map", [(key, flow)], flow_style=False
    )
    line = yaml.serialize(whole, width=10**9, allow_unicode=True)
    return line[len("k:") :].strip()


def _flow(node: yaml.Node) -> yaml.Node:
    """The same in flow style throughout."""
    if isinstance(node, yaml.SequenceNode):
        items = [_flow(one) for one in node.value]
        return yaml.SequenceNode(node.tag, items, flow_style=True)
    if isinstance(node, yaml.MappingNode):
        pairs = [(key, _flow(one)) for key, one in node.value]
        return yaml.MappingNode(node.tag, pairs, flow_style=True)
    return node


def digest(parts: Iterable[str]) -> str:
    """Tells whether a command is the same, with the fragments that it names.

    Arguments
    ---------
    parts : Iterable[str]
        Arguments. Of a yaml that one names, what it says counts, not its
        comments; and so on with those that it includes.

    Returns
    -------
    str
        Hexadecimal, 16 digits.

    Example
    -------
    >>> digest(["--lr=1"]) == digest(["--lr=1"]) != digest(["--lr=2"])
    True
    """
    parts = list(parts)
    # Another checkout says the same.
    told = shlex.join(parts).replace(f"{Path.cwd()}/", "")
    said = hashlib.sha256(told.encode())
    waiting = [Path(name) for name in _YAML_FILE.findall(" ".join(parts))]
    seen = set()
    while waiting:
        path = waiting.pop().absolute()
        if path in seen or not path.is_file():
            continue
        seen.add(path)
        held = text(
            yaml.compose(path.read_text(encoding="utf-8"), yaml.SafeLoader)
        )
        said.update(held.encode())
        named = _YAML_FILE.findall(held)
        waiting += [path.parent / name for name in named]
    return said.hexdigest()[:16]
