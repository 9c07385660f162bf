"""What is drawn of error rates: against cost, and in groups of trials."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from speechbrain_kd.evaluation.breakdown import Breakdown
from speechbrain_kd.evaluation.evaluation import ListResult, SystemFacts
from speechbrain_kd.evaluation.figures import (
    GRID,
    Picture,
    keep,
    new_axes,
    series_style,
)

# More groups than this are in the table alone.
MAX_GROUPS = 16
COSTS = {
    "bytes": "Size of the model (bytes)",
    "ms_per_second": "Time for 1 s of speech (ms, 1 thread)",
}


def pareto_picture(
    systems: list[SystemFacts],
    results: Mapping[str, ListResult],
    cost: str,
    folder: str | Path,
    name: str,
    where: str,
) -> Picture | None:
    """Accuracy against what a system costs.

    Arguments
    ---------
    systems : list[SystemFacts]
        The systems.
    results : Mapping[str, ListResult]
        Their results on a list.
    cost : str
        "bytes" or "ms_per_second".
    folder : str | Path
        Where the PNG is written.
    name : str
        Name of the PNG.
    where : str
        The trial list, for the texts.

    Returns
    -------
    Picture | None
        None where the cost of no system is known.
    """
    figure, axes = new_axes()
    points: list[tuple[float, float]] = []
    for number, facts in enumerate(systems):
        spent = getattr(facts, cost)
        if spent is None or facts.name not in results:
            continue
        result = results[facts.name]
        # Students of one architecture cost the same: side by side.
        beside = 1.08 ** sum(abs(x / spent - 1) < 0.02 for x, _ in points)
        points.append((spent, result.eer))
        _dot(
            axes, spent * beside, result.eer, result.eer_interval, number,
            facts.name,
        )  # fmt: skip
    if not points:
        return None
    front = pareto_front(points)
    axes.step(*zip(*front), where="post", color="#cccccc", lw=1.5, zorder=0)
    axes.set_xscale("log")
    axes.margins(x=0.15)
    spent = [x for x, _ in points]
    # Decades alone would leave a narrow axis without a label.
    if max(spent) < 100 * min(spent):
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(_short))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(COSTS[cost])
    _rate_axis(axes)
    figure.legend(loc="outside upper left", ncols=2, frameon=False, fontsize=9)
    return keep(
        figure,
        folder,
        name,
        f"Equal error rate on {where} against: {COSTS[cost]}.",
        f"{COSTS[cost]} against EER on {where}, with intervals. No system is "
        "both cheaper and better than one on the grey line; systems of the "
        "same cost stand side by side.",
    )


def pareto_front(
    points: list[tuple[float, float]],
) -> list[tuple[float, float]]:
    """The points that no other beats in cost and error at once.

    Example
    -------
    >>> pareto_front([(3, 0.1), (1, 0.3), (2, 0.4)])
    [(1, 0.3), (3, 0.1)]
    """
    front: list[tuple[float, float]] = []
    for point in sorted(points):
        if not front or point[1] < front[-1][1]:
            front.append(point)
    return front


def breakdown_picture(
    breakdown: Breakdown, systems: list[str], folder: str | Path, name: str
) -> Picture:
    """EER of every system in the groups of a breakdown.

    Arguments
    ---------
    breakdown : Breakdown
        What was measured; its first `MAX_GROUPS` groups are drawn.
    systems : list[str]
        All systems, in the order that gives each its colour.
    folder : str | Path
        Where the PNG is written.
    name : str
        Name of the PNG.
    """
    groups = breakdown.groups[:MAX_GROUPS]
    shown = [system for system in systems if system in breakdown.rates]
    figure, axes = new_axes(
        4.6, 1.3 + len(groups) * (0.16 + 0.1 * max(2, len(shown)))
    )
    for number, system in enumerate(systems):
        if system in shown:
            place = (shown.index(system) + 0.5) / len(shown) - 0.5
            _row_of_dots(axes, breakdown, groups, system, number, 0.6 * place)
    for row, group in enumerate(groups):
        if all(breakdown.rates[system][group] is None for system in shown):
            beside = axes.get_yaxis_transform()
            text = "too few trials"
            axes.text(
                0.01, row, text, fontsize=9, va="center", transform=beside
            )
    axes.set_yticks(range(len(groups)), groups)
    axes.set_ylim(len(groups) - 0.5, -0.5)
    _rate_axis(axes, across=True)
    figure.legend(loc="outside upper left", ncols=2, frameon=False, fontsize=9)
    left_out = len(breakdown.groups) - len(groups)
    more = f" {left_out} smaller groups are in the table." if left_out else ""
    return keep(
        figure,
        folder,
        name,
        f"Equal error rate by: {breakdown.title}. The table has the numbers.",
        f"EER by group; lines are intervals.{more}"
        if breakdown.intervals
        else f"EER by group.{more}",
    )


def _row_of_dots(
    axes: Axes,
    breakdown: Breakdown,
    groups: list[str],
    system: str,
    number: int,
    shift: float,
) -> None:
    """A system's points in all groups, a little off the group's line."""
    intervals = (breakdown.intervals or {}).get(system, {})
    label: str | None = system
    for row, group in enumerate(groups):
        rate, interval = breakdown.rates[system][group], intervals.get(group)
        if rate is not None:
            y = row + shift
            _dot(axes, rate, y, interval, number, label, across=True)
            label = None


def _dot(
    axes: Axes,
    x: float,
    y: float,
    interval: object,
    number: int,
    label: str | None,
    across: bool = False,
) -> None:
    """A system's point, and its interval along the axis of the rates."""
    look = series_style(number) | {"linestyle": ""}
    if interval is not None:
        ends = [interval.low, interval.high]
        line = (ends, [y, y]) if across else ([x, x], ends)
        axes.plot(*line, color=look["color"], lw=1.8, solid_capstyle="butt")
    axes.plot([x], [y], ms=7, mec="white", mew=0.6, label=label, **look)


def _rate_axis(axes: Axes, across: bool = False) -> None:
    """Makes an axis one of rates, in per cent and from zero on."""
    axis = axes.xaxis if across else axes.yaxis
    axis.set_major_formatter(FuncFormatter(lambda rate, _: f"{100 * rate:g}"))
    axes.set(**{"xlim" if across else "ylim": (0, None)})
    (axes.set_xlabel if across else axes.set_ylabel)("Equal error rate (%)")
    axes.grid(color=GRID, axis="x" if across else "y")
    axes.set_axisbelow(True)


def _short(value: float, _: object = None) -> str:
    """A number with k, M or G."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:g} {unit}"
    return f"{value:g}"
