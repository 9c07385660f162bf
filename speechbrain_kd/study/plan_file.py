"""Reads and checks a plan; what is wrong with it names the key."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from speechbrain_kd.study.options import pairs_of, text
from speechbrain_kd.study.plan import Cell, Conditions, Plan, Search

_KEYS = {
    "recipe",
    "places",
    "options",
    "students",
    "seeds",
    "search_seed",
    "teacher",
    "evaluate",
    "cells",
}
_CELL_KEYS = {"says", "options", "like", "against", "search", "withhold"}


def read_plan(path: str | Path) -> Plan:
    """Reads and checks a plan; nothing of what it names is made.

    Arguments
    ---------
    path : str | Path
        The yaml.

    Returns
    -------
    Plan
        As it stands there.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no plan; the message names the key.

    Example
    -------
    >>> plan = read_plan("hparams/study/minivox.yaml")
    >>> plan.cells["baseline"].against is None
    True
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such plan")
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not a yaml file: {error}") from None
    parts = dict(pairs_of(root, str(path)))
    _only(parts, _KEYS, path)
    for key in ("recipe", "students", "teacher", "cells"):
        if key not in parts:
            raise ValueError(f"{path}: expected the key {key}")
    plan = Plan(
        name=path.stem,
        recipe=_plain(parts["recipe"], str, f"{path}: recipe"),
        places=_mapping(parts.get("places"), f"{path}: places"),
        options=pairs_of(parts.get("options"), f"{path}: options"),
        students=_mapping(parts["students"], f"{path}: students"),
        seeds=tuple(_list(parts.get("seeds"), int, f"{path}: seeds")),
        search_seed=_plain(
            parts.get("search_seed"), int, f"{path}: search_seed", 0
        ),
        teacher=_plain(parts["teacher"], str, f"{path}: teacher"),
        evaluate=_conditions(parts.get("evaluate"), f"{path}: evaluate"),
    )
    for name, node in pairs_of(parts["cells"], f"{path}: cells"):
        plan.cells[name] = _cell(name, node, plan, f"{path}: cells.{name}")
    _check(plan, path)
    return plan


def _cell(name: str, node: yaml.Node, plan: Plan, where: str) -> Cell:
    """A cell of those that stand before it."""
    parts = dict(pairs_of(node, where))
    _only(parts, _CELL_KEYS, where)
    like = _plain(parts.get("like"), str, f"{where}.like", "")
    if like and like not in plan.cells:
        raise ValueError(
            f"{where}.like: expected a cell that stands before it, got {like!r}"
        )
    base = plan.cells[like] if like else Cell(name, "", owner=name)
    search, owner = base.search, base.owner
    if "search" in parts:
        search, owner = _search(parts["search"], f"{where}.search"), name
    if search is None:
        owner = name
    own = pairs_of(parts.get("options"), f"{where}.options")
    first = next(iter(plan.cells), None)
    withhold = _plain(parts.get("withhold"), float, f"{where}.withhold", None)
    if withhold is not None and not 0 <= withhold < 1:
        raise ValueError(f"{where}.withhold: expected 0 to 1, got {withhold}")
    return Cell(
        name=name,
        says=_plain(parts.get("says"), str, f"{where}.says"),
        options=(*base.options, *own),
        against=_plain(parts.get("against"), str, f"{where}.against", first),
        search=search,
        owner=owner,
        withhold=base.withhold if withhold is None else withhold,
    )


def _search(node: yaml.Node, where: str) -> Search:
    """What is searched."""
    parts = dict(pairs_of(node, where))
    _only(parts, {"key", "values", "student"}, where)
    values = parts.get("values")
    if not isinstance(values, yaml.SequenceNode) or not values.value:
        raise ValueError(f"{where}.values: expected a list of values")
    return Search(
        _plain(parts.get("key"), str, f"{where}.key"),
        tuple(text(value) for value in values.value),
        _plain(parts.get("student"), str, f"{where}.student", "") or None,
    )


def _conditions(node: yaml.Node | None, where: str) -> Conditions:
    """What is measured."""
    parts = dict(pairs_of(node, where))
    _only(
        parts,
        {"column", "durations", "snrs", "noise", "as_norm", "mapped"},
        where,
    )
    default = Conditions()
    mapped = _value(parts.get("mapped")) or False
    if not isinstance(mapped, bool):
        raise ValueError(f"{where}.mapped: expected a bool, got {mapped!r}")
    top = _plain(parts.get("as_norm"), int, f"{where}.as_norm", None)
    if top is not None and top < 2:
        raise ValueError(f"{where}.as_norm: expected 2 or more, got {top}")
    return Conditions(
        _plain(parts.get("column"), str, f"{where}.column", "") or None,
        tuple(_list(parts.get("durations"), float, where, default.durations)),
        tuple(_list(parts.get("snrs"), float, where, default.snrs)),
        _plain(parts.get("noise"), str, f"{where}.noise", default.noise),
        top,
        mapped,
    )


def _check(plan: Plan, path: Path) -> None:
    """What names another part must name one that is there."""
    if plan.search_seed in plan.seeds:
        raise ValueError(
            f"{path}: search_seed {plan.search_seed} is one of seeds "
            f"{list(plan.seeds)}: values would be chosen on a run that counts"
        )
    for cell in plan.cells.values():
        where = f"{path}: cells.{cell.name}"
        if cell.against is not None and cell.against not in plan.cells:
            raise ValueError(
                f"{where}.against: there is no cell {cell.against!r}"
            )
        student = cell.search.student if cell.search else None
        if student is not None and student not in plan.students:
            raise ValueError(
                f"{where}.search.student: there is no student {student!r}"
            )


def _only(parts: Mapping, known: set[str], where: str | Path) -> None:
    """Refuses keys that nothing reads."""
    for key in parts:
        if key not in known:
            raise ValueError(
                f"{where}: nothing reads the key {key}; expected "
                f"{', '.join(sorted(known))}"
            )


def _value(node: yaml.Node | None) -> Any:
    """A plain value; what has a tag of its own is none."""
    return None if node is None else yaml.safe_load(text(node))


def _plain(
    node: yaml.Node | None, kind: type, where: str, *default: Any
) -> Any:
    """A value of a kind."""
    value = _value(node)
    if value is None and default:
        return default[0]
    if kind is float and isinstance(value, int):
        value = float(value)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ValueError(f"{where}: expected {kind.__name__}, got {value!r}")
    return value


def _list(
    node: yaml.Node | None, kind: type, where: str, default: tuple = (1986,)
) -> list:
    """Values of a kind."""
    if node is None:
        return list(default)
    if not isinstance(node, yaml.SequenceNode):
        raise ValueError(f"{where}: expected a list, got {text(node)}")
    return [_plain(one, kind, where) for one in node.value]


def _mapping(node: yaml.Node | None, where: str) -> dict:
    """Text by name."""
    return {
        name: _plain(value, str, f"{where}.{name}", None)
        for name, value in pairs_of(node, where)
    }
