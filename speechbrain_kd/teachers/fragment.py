"""A teacher's yaml fragment: read, put together and checked, not yet made.

Training runs its fragments, as all of its yaml is its user's. A command that
only looks may be given anybody's: here every tag must first be known to name
a model class (:mod:`~speechbrain_kd.teachers.trust`).
"""

import inspect
import pydoc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ruamel.yaml
import yaml
from hyperpyyaml import load_hyperpyyaml, resolve_references

from speechbrain_kd.teachers.base import Teacher
from speechbrain_kd.teachers.trust import DEFAULT_ALLOWED, check_text, read_yaml

_INCLUDE = "!include:"
_NEW = "!new:"
_MAP = "tag:yaml.org,2002:map"


@dataclass(frozen=True)
class Fragment:
    """A fragment that only builds a teacher.

    Arguments
    ---------
    path : Path
        Its file.
    kind : type[Teacher]
        The class that it names.
    text : str
        The arguments of the class as yaml, with includes, options and
        references in place.
    """

    path: Path
    kind: type[Teacher]
    text: str

    def arguments(self) -> dict[str, Any]:
        """Makes the arguments; models within them are loaded.

        Returns
        -------
        dict[str, Any]
            Keyword arguments. ValueError where a class within does not take
            what the yaml gives it.
        """
        try:
            return dict(load_hyperpyyaml(self.text))
        except TypeError as error:
            why = ": ".join(map(str, error.args))
            raise ValueError(f"{self.path}: {why}") from error


def read_fragment(
    path: str | Path,
    options: Mapping[str, Any] | None = None,
    allowed: Sequence[str] = (),
) -> Fragment:
    """Reads a yaml that is one teacher.

    Arguments
    ---------
    path : str | Path
        A file that begins with ``!new:`` and a class of teachers. Those that
        it includes are found beside it.
    options : Mapping[str, Any] | None
        Values that replace the fragment's. ``teacher.source`` is the
        ``source`` below ``teacher``, ``teachers.0.source`` that of the first
        of a list.
    allowed : Sequence[str]
        Prefixes of further modules whose model classes it may name.

    Returns
    -------
    Fragment
        Checked, nothing of it made.

    Raises
    ------
    FileNotFoundError
        If it, or a file that it includes, is not there.
    ValueError
        If it does anything but build a teacher.

    Example
    -------
    >>> path = Path(getfixture("tmp_path")) / "my_teacher.yaml"
    >>> text = "!new:speechbrain_kd.teachers.OnnxTeacher\\nsource: a.onnx\\n"
    >>> _ = path.write_text(text)
    >>> read_fragment(path, {"n_mels": 24}).arguments()
    {'source': 'a.onnx', 'n_mels': 24}
    """
    path = Path(path)
    prefixes = (*DEFAULT_ALLOWED, *allowed)
    text = _resolved(path, _nested(options or {}), prefixes, ())
    root = _compose(text, path)
    target = str(root.tag).removeprefix(_NEW)
    kind = pydoc.locate(target) if str(root.tag).startswith(_NEW) else None
    if not (inspect.isclass(kind) and issubclass(kind, Teacher)):
        raise _no_teacher(path, str(root.tag))
    root.tag = _MAP
    return Fragment(path, kind, _settled(yaml.serialize(root), path, prefixes))


def _settled(text: str, path: Path, prefixes: Sequence[str]) -> str:
    """HyperPyYAML will resolve once more: then what was checked must stay."""
    settled = resolve_references(text).getvalue()
    check_text(settled, f"{path}, resolved", prefixes, resolved=True)
    if resolve_references(settled).getvalue() != settled:
        raise ValueError(f"{path}: refused: it reads otherwise each time")
    return settled


def _no_teacher(path: Path, tag: str) -> ValueError:
    """The error of a yaml that is something else."""
    return ValueError(
        f"{path}: expected a fragment that begins with !new: and a teacher, as "
        "in !new:speechbrain_kd.teachers.OnnxTeacher; got "
        + ("plain values" if tag == _MAP else tag)
    )


def _resolved(
    path: Path,
    options: Mapping[str, Any],
    prefixes: Sequence[str],
    above: tuple[Path, ...],
) -> str:
    """The text of a fragment with all in place, and harmless."""
    if not path.is_file():
        by = f", which {above[-1]} includes" if above else ""
        raise FileNotFoundError(f"{path}: there is no such yaml fragment{by}")
    here = path.resolve()
    if here in above:
        raise ValueError(f"{path}: expected a fragment, it includes itself")
    text = read_yaml(path)
    root, name = _compose(text, path), str(path)
    changed = _expand(root, path, prefixes, (*above, here))
    if options:
        _update(root, _compose(yaml.safe_dump(dict(options)), path), path)
    if changed or options:  # else a message names the line in the file
        text, name = yaml.serialize(root), f"{name} with its includes in place"
    try:
        check_text(text, name, prefixes)
        text = resolve_references(text).getvalue()
        check_text(text, f"{path}, resolved", prefixes, resolved=True)
    except ValueError as error:
        raise ValueError(_explained(error, path)) from error
    except (KeyError, ruamel.yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"{path}: cannot be resolved: {error}") from error
    return text


def _explained(error: ValueError, path: Path) -> str:
    """What the user of a command can do."""
    text = str(error)
    if "!PLACEHOLDER" in text:
        return f"{path}: {text} Give {path},KEY=VALUE"
    if "`allowed` prefixes" in text:
        return f"{text}, as in {path},allowed=[my_package.]"
    return text if str(path) in text else f"{path}: {text}"


def _compose(text: str, path: Path) -> yaml.MappingNode:
    """The nodes of a text; nothing of it is made."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"{path}: expected a yaml fragment: {error}") from None
    if not isinstance(root, yaml.MappingNode):
        raise _no_teacher(path, getattr(root, "tag", "an empty file"))
    return root


def _expand(
    node: yaml.Node,
    path: Path,
    prefixes: Sequence[str],
    above: tuple[Path, ...],
) -> bool:
    """Puts included fragments in their places; says whether there were any.

    Keys below an include replace those of what it includes.
    """
    changed, seen, waiting = False, set(), [node]
    while waiting:
        node = waiting.pop()
        if id(node) in seen or isinstance(node, yaml.ScalarNode):
            continue
        seen.add(id(node))
        mapping = isinstance(node, yaml.MappingNode)
        parts = [pair[1] for pair in node.value] if mapping else node.value
        for place, part in enumerate(parts):
            if not str(part.tag).startswith(_INCLUDE):
                waiting.append(part)
                continue
            file = path.parent / str(part.tag).removeprefix(_INCLUDE)
            found = _compose(_resolved(file, {}, prefixes, above), file)
            if isinstance(part, yaml.MappingNode):
                _update(found, part, file)
            key = node.value[place][0] if mapping else None
            node.value[place] = (key, found) if mapping else found
            changed = True
    return changed


def _update(node: yaml.Node, values: yaml.MappingNode, path: Path) -> None:
    """Replaces values within a node; those below a mapping one by one."""
    for key, value in values.value:
        if isinstance(node, yaml.SequenceNode):
            if not (key.value.isdecimal() and int(key.value) < len(node.value)):
                raise ValueError(
                    f"{path}: expected a place below {len(node.value)} in a "
                    f"list, got {key.value!r}"
                )
            place, old = int(key.value), node.value[int(key.value)]
        else:
            keys = [one.value for one, _ in node.value]
            if key.value not in keys:
                node.value.append((key, value))
                continue
            place = keys.index(key.value)
            old = node.value[place][1]
        deeper = isinstance(value, yaml.MappingNode) and value.tag == _MAP
        if deeper and not isinstance(old, yaml.ScalarNode):
            _update(old, value, path)
        elif isinstance(node, yaml.SequenceNode):
            node.value[place] = value
        else:
            node.value[place] = (key, value)


def _nested(options: Mapping[str, Any]) -> dict[str, Any]:
    """Turns ``a.b: 1`` into ``a: {b: 1}``."""
    found: dict[str, Any] = {}
    for name, value in options.items():
        *folders, last = name.split(".")
        place = found
        for folder in folders:
            place = place.setdefault(folder, {})
        place[last] = value
    return found
