"""What a study found, as Markdown."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from speechbrain_kd.atomic import atomic_path
from speechbrain_kd.markdown import table
from speechbrain_kd.seeds import spread
from speechbrain_kd.study.summary import COST, MEAN, POOLED, RATIOS

_NONE = "–"


def report(facts: Mapping[str, Any], picture: str | None) -> str:
    """The tables of a study.

    Arguments
    ---------
    facts : Mapping[str, Any]
        As `summarise` gives them.
    picture : str | None
        Address of the picture of differences.

    Returns
    -------
    str
        Markdown, without a heading.
    """
    parts = [_cells(facts), _searches(facts), _rates(facts)]
    differences = _differences(facts)
    if differences:
        parts += [
            "Differences (the cell less the one that it is compared with):",
            differences,
        ]
    if picture is not None:
        parts.append(f"![Differences of mean EER by cell]({picture})")
    parts.append(_cost(facts))
    return "\n\n".join(part.rstrip() for part in parts if part) + "\n"


def _cells(facts: Mapping[str, Any]) -> str:
    """What each cell tries."""
    rows = [
        [name, cell["says"], cell["against"] or _NONE]
        for name, cell in facts["cells"].items()
    ]
    return table(["cell", "what it tries", "compared with"], rows, left=3)


def _searches(facts: Mapping[str, Any]) -> str:
    """Which values were tried, and what validation said of them."""
    rows = []
    for name, cell in facts["cells"].items():
        search = cell.get("search")
        if search is None or search["of"] != name or not search["tried"]:
            continue
        tried = " · ".join(
            f"{value}: {rate:.2f}" for value, rate in search["tried"].items()
        )
        rows.append([name, search["key"], tried, search["value"] or _NONE])
    if not rows:
        return ""
    header = ["cell", "searched", "validation EER, % by value", "chosen"]
    return table(header, rows)


def _rates(facts: Mapping[str, Any]) -> str:
    """Error rates: mean over seeds, for the first column with interval."""
    groups, conditions = facts["groups"], facts["conditions"]
    keys = [*groups, POOLED, COST, *conditions]
    first, called = MEAN, MEAN
    if not groups:
        keys.remove(POOLED)
        first, called = POOLED, "EER"
    ratios = [name for name, (enrols, _) in RATIOS.items() if enrols in keys]
    header = ["cell", "student", "seeds", called, "of each seed", *keys]
    header += [*ratios, "train s"]
    rows = []
    if facts["teacher"] is not None:
        own = [
            _number(facts["teacher"].get(key), key)
            for key in [first, *keys, *ratios]
        ]
        own.insert(1, _NONE)
        rows.append(["teacher", _NONE, _NONE, *own, _NONE])
    for name, cell in facts["cells"].items():
        for student, found in cell["students"].items():
            rates = found["rates"]
            means = [
                _number(rates[key]["mean"] if key in rates else None, key)
                for key in keys
            ]
            rows.append(
                [
                    name,
                    student,
                    str(len(found["seeds"])),
                    spread(rates[first]),
                    _each(found["seeds"], first),
                    *means,
                    *[_spread(rates.get(name)) for name in ratios],
                    f"{found['train_s']:.0f}",
                ]
            )
    return table(header, rows)


def _each(seeds: Mapping[int, Mapping[str, float]], key: str) -> str:
    """A rate of each seed, in the seeds' order."""
    rates = [found[key] for _, found in sorted(seeds.items())]
    return " · ".join(f"{rate:.2f}" for rate in rates)


def _differences(facts: Mapping[str, Any]) -> str:
    """Paired differences with intervals; empty where there is no pair."""
    keys = [MEAN, *facts["groups"], *facts["conditions"]]
    header = ["cell", "student", "against", MEAN, "mean, over speakers"]
    header += [*keys[1:], "relative, %", "gap closed"]
    rows = []
    for name, cell in facts["cells"].items():
        for student, found in cell["students"].items():
            if "differences" not in found:
                continue
            told = found["differences"]
            means = [_sure(told.get(key)) for key in keys]
            means.insert(1, _sure(found.get("over_speakers")))
            row = [name, student, cell["against"], *means]
            row.append(_sure(found.get("relative"), digits=0))
            closed = found.get("gap_closed")
            row.append(_NONE if closed is None else f"{spread(closed, 0)} %")
            rows.append(row)
    return table(header, rows) if rows else ""


def _sure(part: Mapping[str, float | None] | None, digits: int = 2) -> str:
    """A difference; bold where its interval leaves out 0."""
    text = _spread(part, digits)
    if part and part["low"] is not None and part["low"] * part["high"] > 0:
        return f"**{text}**"
    return text


def _spread(part: Mapping[str, float | None] | None, digits: int = 2) -> str:
    return _NONE if part is None else spread(part, digits)


def _number(value: float | None, key: str) -> str:
    return _NONE if value is None else f"{value:.{3 if key == COST else 2}f}"


def _cost(facts: Mapping[str, Any]) -> str:
    """What it took, in a sentence."""
    cost = facts["cost"]
    hours = {
        key: cost[f"{key}_s"] / 3600 for key in ("train", "search", "measure")
    }
    return (
        f"{cost['runs']} runs: {hours['train']:.2f} hours of training and "
        f"{hours['measure']:.2f} of measuring, and {hours['search']:.2f} hours "
        f"for {cost['search_runs']} runs of searches, added up over processes. "
        f"{facts['machine']}"
    )


def write_between(page: Path, name: str, text: str) -> None:
    """Puts text between the marks of a page.

    Arguments
    ---------
    page : Path
        Holds ``<!-- study:NAME -->`` and ``<!-- end study:NAME -->``.
    name : str
        Of the plan.
    text : str
        What shall stand between them.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such page, or no such marks in it.

    Example
    -------
    >>> page = getfixture("tmp_path") / "page.md"
    >>> _ = page.write_text("A <!-- study:x -->old<!-- end study:x --> B")
    >>> write_between(page, "x", "new")
    >>> page.read_text().split()[4:7]
    ['new', '<!--', 'end']
    """
    if not page.is_file():
        raise FileNotFoundError(f"--write={page}: there is no such page")
    held = page.read_text(encoding="utf-8")
    marks = f"<!-- study:{name} -->", f"<!-- end study:{name} -->"
    before, begin, rest = held.partition(marks[0])
    _, end, after = rest.partition(marks[1])
    if not (begin and end):
        raise ValueError(
            f"--write={page}: expected the lines {marks[0]} and {marks[1]}, "
            "between which the tables go"
        )
    with atomic_path(page) as part:
        whole = f"{before}{begin}\n\n{text.strip()}\n\n{end}{after}"
        part.write_text(whole, encoding="utf-8")
