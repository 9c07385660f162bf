"""A hyperparams.yaml is code: this reads one without running it.

``!apply:os.popen`` in a yaml from a hub runs when the yaml is loaded, so a
foreign yaml is parsed to nodes first and refused unless every tag is harmless
and names an allowed class.
"""

import inspect
import pydoc
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import ruamel.yaml
import torch
from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain.utils.parameter_transfer import Pretrainer

from speechbrain_kd.teachers.yaml_limits import (
    LARGEST,
    check_depth,
    check_limits,
)

# Where the classes of a speaker model live. Narrower than "speechbrain.":
# speechbrain.utils and .integrations run commands and fetch foreign code.
DEFAULT_ALLOWED = (
    "speechbrain.lobes.",
    "speechbrain.nnet.",
    "speechbrain.processing.",
    "speechbrain_kd.",
    "torch.nn.",
)
# Classes here unpickle files or load foreign frameworks when constructed.
_REFUSED = (
    "speechbrain.lobes.models.MSTacotron2.",
    "speechbrain.lobes.models.beats.",
    "speechbrain.lobes.models.discrete.",
    "speechbrain.lobes.models.fairseq_wav2vec.",
)
# Nor may a hub's yaml name a teacher: that one reads files of its choosing,
# by its own list of `allowed`.
NOT_FOREIGN = ("speechbrain_kd.bench.", "speechbrain_kd.teachers.")
# Functions that an activation may name; some of torch.nn.functional are
# built-ins of torch._C._nn.
_FUNCTIONS = ("speechbrain.nnet.", "torch.nn.functional.", "torch._C._nn.")
_HELPERS = (CategoricalEncoder, Pretrainer)
_SEED = "speechbrain.utils.seed_everything"
_PLAIN = {
    f"tag:yaml.org,2002:{kind}"
    for kind in "str int float bool null map seq merge timestamp".split()
} | {"!tuple"}
_UNRESOLVED = {"!ref", "!copy", "!PLACEHOLDER"}
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", re.ASCII)


def check_yaml(
    path: str | Path, allowed: Sequence[str] = DEFAULT_ALLOWED
) -> None:
    """Refuses a yaml that could do more than build a speaker model.

    Nothing of the yaml is executed. Allowed are plain values, references,
    ``!new:`` and ``!name:`` of ``torch.nn.Module`` classes *defined* under
    an allowed prefix (so ``torch.nn.modules.os.system`` is not one),
    SpeechBrain's ``Pretrainer`` and ``CategoricalEncoder``, ``!name:`` of
    activation functions, and ``!apply:speechbrain.utils.seed_everything``.

    Arguments
    ---------
    path : str | Path
        The yaml file.
    allowed : Sequence[str]
        Prefixes of the modules whose classes may be named, each ending in a
        dot. Only these modules are imported.

    Raises
    ------
    ValueError
        Naming the file, the line and the tag that is refused.

    Example
    -------
    >>> path = Path(getfixture("tmp_path")) / "hyperparams.yaml"
    >>> _ = path.write_text("act: !name:torch.nn.LeakyReLU")
    >>> check_yaml(path)
    >>> _ = path.write_text("act: !apply:os.popen [id]")
    >>> check_yaml(path)
    Traceback (most recent call last):
    ...
    ValueError: .../hyperparams.yaml, line 1: the tag !apply:os.popen is ...
    """
    check_text(read_yaml(path), str(path), allowed, refused=NOT_FOREIGN)


def read_yaml(path: str | Path) -> str:
    """Reads the text of a foreign yaml.

    Arguments
    ---------
    path : str | Path
        The yaml file.

    Returns
    -------
    str
        Its text.

    Raises
    ------
    ValueError
        If it is too large for a yaml, or no text in UTF-8.
    """
    path = Path(path)
    with open(path, "rb") as stream:
        data = stream.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ValueError(
            f"{path} has {path.stat().st_size} bytes: the yaml of a speaker "
            f"model has at most {LARGEST}"
        )
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is no yaml, which is a text in UTF-8: {error}"
        ) from error


def check_text(
    text: str,
    name: str,
    allowed: Sequence[str] = DEFAULT_ALLOWED,
    resolved: bool = False,
    refused: Sequence[str] = (),
) -> None:
    """Does the work of :func:`check_yaml` on a text.

    Arguments
    ---------
    text : str
        The text of the yaml.
    name : str
        What to call it in messages.
    allowed : Sequence[str]
        As in :func:`check_yaml`.
    resolved : bool
        Whether references have been resolved: then none may be left.
    refused : Sequence[str]
        Prefixes whose classes may not be named, whatever is allowed.
    """
    check_depth(text, name)
    try:
        root = ruamel.yaml.Loader(text).get_single_node()
    except (ruamel.yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"{name} is not valid yaml: {error}") from error
    if not isinstance(root, ruamel.yaml.MappingNode):
        raise ValueError(f"{name} should hold a mapping of keys to values")
    tags = _PLAIN if resolved else _PLAIN | _UNRESOLVED
    for node in _walk(root):
        reason = _objection(node, tags, allowed, (*_REFUSED, *refused))
        if reason:
            line = node.start_mark.line + 1
            raise ValueError(
                f"{name}, line {line}: the tag {_tag(node)} is refused, as "
                f"loading it could run foreign code: {reason}. Allowed are "
                f"the model classes under {', '.join(allowed)}; load the "
                "file only if you trust its author, with more `allowed` "
                "prefixes"
            )
    check_limits(root, name)


def _walk(root: ruamel.yaml.Node) -> Iterator[ruamel.yaml.Node]:
    """Visits every node once, keys as well as values."""
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        if isinstance(node, ruamel.yaml.MappingNode):
            waiting += [part for pair in node.value for part in pair]
        elif isinstance(node, ruamel.yaml.SequenceNode):
            waiting += node.value


def _tag(node: ruamel.yaml.Node) -> str:
    """Gives the tag of a node as HyperPyYAML will see it."""
    return str(node.tag)


def _objection(
    node: ruamel.yaml.Node,
    tags: set[str],
    allowed: Sequence[str],
    refused: tuple[str, ...],
) -> str | None:
    """Says what is wrong with a node; None if nothing is."""
    tag = _tag(node)
    kind, _, target = tag.partition(":")
    if tag in tags:
        return _tuple_objection(node)
    if kind in ("!new", "!name"):
        return _target_objection(kind, target, tuple(allowed), refused)
    if kind == "!apply":
        return None if target == _SEED else "it calls a function"
    return "it is none of the tags of a speaker model"


def _tuple_objection(node: ruamel.yaml.Node) -> str | None:
    """HyperPyYAML hands the inside of "(…)" to PyYAML's unsafe loader, and
    of whatever else has the tag."""
    value, tuples = node.value, str(node.tag) == "!tuple"
    if not isinstance(value, str):
        return "only a text is a tuple" if tuples else None
    if (tuples or value.startswith("(")) and re.search(r"[!%&*]", value):
        return f"the tuple {value} holds a tag or an alias"
    return None


def _target_objection(
    kind: str, target: str, allowed: tuple[str, ...], refused: tuple[str, ...]
) -> str | None:
    """Says why a class or function may not be named; None if it may."""
    if not _DOTTED.fullmatch(target) or "__" in target:
        return f"{target!r} is not the dotted name of a class"
    helpers = {f"{cls.__module__}.{cls.__name__}" for cls in _HELPERS}
    if kind == "!new" and target in helpers:
        return None
    if not target.startswith(allowed) or target.startswith(refused):
        return f"{target} is not under an allowed prefix"
    try:
        found = pydoc.locate(target)
    except pydoc.ErrorDuringImport as error:
        return f"{target} cannot be imported ({error.value})"
    if found is None:
        return f"there is no {target}"
    home = f"{getattr(found, '__module__', None)}."
    if inspect.isclass(found) and issubclass(found, torch.nn.Module):
        # torch.nn.modules.os and the like only pass through a prefix.
        if home.startswith(allowed) and not home.startswith(refused):
            return None
    elif kind == "!name" and inspect.isroutine(found):
        if home.startswith(_FUNCTIONS):
            return None
    return f"{target} is no model class defined under an allowed prefix"
