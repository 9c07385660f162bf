"""The differences of a study with their intervals, in one picture."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from speechbrain_kd.evaluation.figures import GRID, keep, new_axes, series_style
from speechbrain_kd.study.summary import MEAN

NAME = "study"


def draw_differences(facts: Mapping[str, Any], folder: Path) -> Path | None:
    """Draws each cell's difference of mean EER, a marker a student.

    Arguments
    ---------
    facts : Mapping[str, Any]
        As `summarise` gives them.
    folder : Path
        Where ``study.png`` is written.

    Returns
    -------
    Path | None
        The picture; None where there is no difference to draw.
    """
    cells = [
        name
        for name, cell in facts["cells"].items()
        if any("differences" in one for one in cell["students"].values())
    ]
    students = list(
        dict.fromkeys(
            student
            for name in cells
            for student in facts["cells"][name]["students"]
        )
    )
    if not cells:
        return None
    lines = len(cells) * max(1, len(students))
    figure, axes = new_axes(6.4, 1.2 + 0.22 * lines)
    axes.axvline(0, color="#000000", lw=0.8)
    axes.grid(axis="x", color=GRID)
    axes.set_axisbelow(True)
    for number, student in enumerate(students):
        _draw_student(axes, facts, cells, student, number, len(students))
    axes.set_yticks(range(len(cells)), cells)
    axes.set_ylim(len(cells) - 0.5, -0.5)  # the first on top
    axes.set_xlabel("difference of mean EER, % (below 0: better)")
    figure.legend(loc="outside upper left", ncols=4, frameon=False, fontsize=9)
    keep(
        figure,
        folder,
        NAME,
        "Differences of mean EER by cell, with intervals over seeds.",
        "Mean EER of a cell less that of the cell that it is compared with.",
    )
    return folder / f"{NAME}.png"


def _draw_student(axes, facts, cells, student, number, count):
    """A student's differences, beside those of the others."""
    style = series_style(number)
    label: str | None = student
    for at, name in enumerate(cells):
        found = facts["cells"][name]["students"].get(student, {})
        part = found.get("differences", {}).get(MEAN)
        if part is None:
            continue
        place = at + 0.6 * ((number + 0.5) / count - 0.5)
        if part["low"] is not None:
            ends = [part["low"], part["high"]]
            axes.plot(ends, [place, place], color=style["color"], lw=1.5)
        axes.plot(
            [part["mean"]],
            [place],
            color=style["color"],
            marker=style["marker"],
            linestyle="none",
            label=label,
        )
        label = None
