"""A short yaml can stand for a large one: this measures before it is read.

Aliases, references and copies multiply (ten lines of ten aliases each are ten
thousand million nodes), references put texts together, and HyperPyYAML
reckons ``9 ** 9 ** 9`` out. None of it is done here: sizes are added up.
"""

import re

import ruamel.yaml

#: What a file, and what it stands for, may have at most. Published ones have
#: some 2000 characters.
LARGEST = 64 * 1024
_DEEPEST = 100  # brackets within brackets; parsers take long to give up
_LONGEST = 1000  # characters of a text that references put together
_REFERENCES = {"!ref", "!copy"}
_REFERENCE = re.compile(r"<[^>]*>")
# What HyperPyYAML would reckon: powers, and texts times numbers.
_COSTLY = re.compile(r"\*\*|['\"].*[*%]|[*%].*['\"]", re.DOTALL)


def check_limits(root: ruamel.yaml.MappingNode, name: str) -> None:
    """Refuses a yaml that grows out of all proportion when it is read.

    Arguments
    ---------
    root : ruamel.yaml.MappingNode
        Its nodes.
    name : str
        What to call it in messages.

    Raises
    ------
    ValueError
        If a key stands twice in a mapping; if a node holds or refers to
        itself; if aliases and references stand for more than 64 KiB; if a
        reference leads nowhere or puts another reference or a costly
        reckoning together.

    Example
    -------
    >>> text = "a: 9\\nb: [!copy <a>, !copy <a>]\\nc: !ref 9**<a>"
    >>> check_limits(ruamel.yaml.Loader(text).get_single_node(), "some.yaml")
    Traceback (most recent call last):
    ...
    ValueError: some.yaml, line 3: the reference 9**<a> puts ...
    """
    try:
        size = _Measure(root, name).size(root)
    except RecursionError as error:
        raise ValueError(f"{name} is nested too deeply to be a model") from (
            error
        )
    if size > LARGEST:
        raise ValueError(
            f"{name} stands for more than {LARGEST} characters, once its "
            "aliases and references are written out: no speaker model does"
        )


def check_depth(text: str, name: str) -> None:
    """Refuses a yaml before it is parsed, whose brackets nest too deeply.

    Arguments
    ---------
    text : str
        The text of the yaml.
    name : str
        What to call it in messages.

    Raises
    ------
    ValueError
        If more than a hundred brackets are open at a place.
    """
    depth = 0
    for sign in re.findall(r"[][{}]", text):
        depth = max(0, depth + (1 if sign in "[{" else -1))
        if depth > _DEEPEST:
            raise ValueError(f"{name} is nested too deeply to be a model")


class _Measure:
    """Adds up what nodes stand for, each looked at once."""

    def __init__(self, root: ruamel.yaml.MappingNode, name: str) -> None:
        self.root = root
        self.name = name
        self.sizes: dict[int, int] = {}
        self.texts: dict[int, str] = {}
        self.above: set[int] = set()

    def size(self, node: ruamel.yaml.Node) -> int:
        """Characters of a node with everything in place."""
        if id(node) not in self.sizes:
            self._enter(node)
            if isinstance(node, ruamel.yaml.MappingNode):
                self._check_keys(node)
                parts = [part for pair in node.value for part in pair]
                size = sum(self.size(part) for part in parts)
            elif isinstance(node, ruamel.yaml.SequenceNode):
                size = sum(self.size(part) for part in node.value)
            elif str(node.tag) in _REFERENCES:
                size = self._reference(node)
            else:
                size = len(node.value)
            self.above.discard(id(node))
            self.sizes[id(node)] = size + 1
        return self.sizes[id(node)]

    def _enter(self, node: ruamel.yaml.Node) -> None:
        """Notes that a node is being looked at."""
        if id(node) in self.above:
            raise self._refused(node, "it holds or refers to itself")
        self.above.add(id(node))

    def _check_keys(self, node: ruamel.yaml.MappingNode) -> None:
        """The second of two equal keys would win, or fail without a name."""
        keys: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, ruamel.yaml.ScalarNode):
                if key.value in keys:
                    raise self._refused(
                        key, f"the key {key.value!r} stands twice"
                    )
                keys.add(key.value)

    def _reference(self, node: ruamel.yaml.ScalarNode) -> int:
        """What a reference stands for."""
        if _REFERENCE.fullmatch(node.value):
            target = self._target(node.value, node)
            if not isinstance(target, ruamel.yaml.ScalarNode):
                return self.size(target)
        return len(self._text(node))

    def _text(self, node: ruamel.yaml.ScalarNode) -> str:
        """The text of a scalar with all references in it followed."""
        if id(node) in self.texts:
            return self.texts[id(node)]
        text, end, alone = "", 0, _REFERENCE.fullmatch(node.value)
        for found in _REFERENCE.finditer(node.value):
            target = self._target(found[0], node)
            if not isinstance(target, ruamel.yaml.ScalarNode):
                raise self._refused(node, f"{found[0]} is no text")
            self._enter(target)
            text += node.value[end : found.start()] + self._text(target)
            self.above.discard(id(target))
            end = found.end()
            if len(text) > LARGEST:
                break
        text += node.value[end:]
        if end and not alone:
            self._check_reckoning(text, node)
        self.texts[id(node)] = text
        return text

    def _check_reckoning(self, text: str, node: ruamel.yaml.Node) -> None:
        """HyperPyYAML follows a text's references and reckons it out."""
        if len(text) > _LONGEST or "<" in text or _COSTLY.search(text):
            raise self._refused(
                node,
                f"the reference {node.value[:40]} puts together "
                f"{text[:40]!r}, which is too long, another reference or a "
                "costly reckoning",
            )

    def _target(
        self, reference: str, node: ruamel.yaml.Node
    ) -> ruamel.yaml.Node:
        """The node that a reference such as <a[b]> names."""
        here: ruamel.yaml.Node | None = self.root
        for part in reference.strip("<>").split(".")[0].split("["):
            if isinstance(here, ruamel.yaml.MappingNode):
                here = _child(here, part.strip("]"))
            else:
                here = None
            if here is None:
                raise self._refused(
                    node, f"the reference {reference[:40]} leads nowhere"
                )
        return here

    def _refused(self, node: ruamel.yaml.Node, reason: str) -> ValueError:
        """The error of a node."""
        line = node.start_mark.line + 1
        return ValueError(f"{self.name}, line {line}: {reason}")


def _child(node: ruamel.yaml.Node, key: str) -> ruamel.yaml.Node | None:
    """The value of a key, which may come from merged mappings."""
    seen: set[int] = set()
    waiting = [node]
    while waiting:
        node = waiting.pop(0)
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, ruamel.yaml.SequenceNode):  # of a merge
            waiting += node.value
        elif isinstance(node, ruamel.yaml.MappingNode):
            for one, value in node.value:
                if one.value == key:
                    return value
            waiting += [value for one, value in node.value if one.value == "<<"]
    return None
