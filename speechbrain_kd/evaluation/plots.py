"""Pictures of verification scores: DET curves and histograms, as PNG."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from scipy.stats import norm

from speechbrain_kd.atomic import atomic_path
from speechbrain_kd.evaluation.metrics import Scores, det_curve, eer

# Okabe and Ito's colours, told apart by colour-blind readers too; line styles
# differ as well, for print in black and white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES = ("-", "--", "-.", (0, (1, 1)), (0, (5, 1, 1, 1)), (0, (8, 3)))
RATE_TICKS = (
    *(0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05),
    *(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99),
)
# No eye tells more points of a curve than this apart.
MAX_POINTS = 2000


def plot_det(
    systems: Mapping[str, tuple[Scores, Scores]],
    path: str | Path,
    title: str = "Detection error trade-off",
) -> None:
    """Draws the DET curve of systems on normal-deviate axes, EERs marked.

    Arguments
    ---------
    systems : Mapping[str, tuple[Scores, Scores]]
        Target and impostor scores of each system, by name.
    path : str | Path
        The PNG to write.
    title : str
        The title of the picture.

    Raises
    ------
    ValueError
        If there is no system, or one has no score of a class.

    Example
    -------
    >>> path = getfixture("tmp_path") / "det.png"
    >>> plot_det({"student": ([0.9, 0.4, 0.7], [0.5, 0.2, 0.1])}, path)
    >>> path.read_bytes()[1:4]
    b'PNG'
    """
    if not systems:
        raise ValueError("no system to plot: expected at least one")
    figure, axes = _figure(6.0, 6.0)
    draw_det(axes, systems)
    axes.set_title(title, loc="left")
    _save(figure, path)


def draw_det(axes: Axes, systems: Mapping[str, tuple[Scores, Scores]]) -> None:
    """Draws the DET curves of systems into axes, as `plot_det` does.

    Arguments
    ---------
    axes : Axes
        Matplotlib's axes.
    systems : Mapping[str, tuple[Scores, Scores]]
        Target and impostor scores of each system, by name.
    """
    curves = [det_curve(*scores)[:2] for scores in systems.values()]
    low, high = _det_limits(curves)
    axes.plot(low_high := norm.ppf([low, high]), low_high, color="0.8", lw=1)
    for number, (name, scores) in enumerate(systems.items()):
        colour = COLOURS[number % len(COLOURS)]
        rate = eer(*scores)
        axes.plot(
            *_deviates(*curves[number], low, high),
            color=colour,
            linestyle=DASHES[(number + number // len(COLOURS)) % len(DASHES)],
            linewidth=2,
            label=f"{name} (EER {100 * rate:.2f} %)",
        )
        # Perfect and inverted systems lie off the axes.
        if low <= rate <= high:
            point = norm.ppf(rate)
            axes.plot(point, point, "o", color=colour, mec="white", ms=8)
    _rate_axes(axes, low, high)
    axes.legend(loc="upper right", framealpha=1, edgecolor="white")


def plot_histogram(
    target_scores: Scores,
    impostor_scores: Scores,
    threshold: float,
    path: str | Path,
    title: str = "Scores",
    bins: int = 60,
) -> None:
    """Draws the scores of target and impostor trials, and a threshold.

    Arguments
    ---------
    target_scores : Scores
        Scores of the trials of one speaker.
    impostor_scores : Scores
        Scores of the trials of two speakers.
    threshold : float
        The score from which a trial is accepted.
    path : str | Path
        The PNG to write.
    title : str
        The title of the picture.
    bins : int
        Bars over the range of the scores.

    Example
    -------
    >>> path = getfixture("tmp_path") / "scores.png"
    >>> plot_histogram([0.9, 0.7], [0.5, 0.1], 0.6, path)
    >>> path.read_bytes()[1:4]
    b'PNG'
    """
    figure, axes = _figure(6.8, 4.2)
    draw_histogram(axes, target_scores, impostor_scores, threshold, bins)
    axes.set_title(title, loc="left")
    _save(figure, path)


def draw_histogram(
    axes: Axes,
    target_scores: Scores,
    impostor_scores: Scores,
    threshold: float,
    bins: int = 60,
    columns: int = 3,
) -> None:
    """Draws a histogram into axes, as `plot_histogram` does.

    Arguments
    ---------
    axes : Axes
        Matplotlib's axes.
    target_scores : Scores
        Scores of the trials of one speaker.
    impostor_scores : Scores
        Scores of the trials of two speakers.
    threshold : float
        The score from which a trial is accepted.
    bins : int
        Bars over the range of the scores.
    columns : int
        Columns of the legend; with fewer it needs more room above.
    """
    target = np.asarray(target_scores, dtype=np.float64).ravel()
    impostor = np.asarray(impostor_scores, dtype=np.float64).ravel()
    edges = np.histogram_bin_edges(np.concatenate([target, impostor]), bins)
    classes = (("impostor", impostor, "#D55E00"), ("target", target, "#0072B2"))
    for name, scores, colour in classes:
        # In shares of the class: there are many more impostors, as a rule.
        shares = np.histogram(scores, edges)[0] / scores.size
        label = f"{name} ({scores.size:,} trials)"
        axes.stairs(shares, edges, fill=True, color=colour, alpha=0.35)
        axes.stairs(shares, edges, color=colour, lw=1.5, label=label)
    # Head room, so that the legend stays clear of the bars and the line.
    share = 0.98 - 0.12 * -(-3 // columns)
    axes.set_ylim(0, axes.get_ylim()[1] / (share - 0.03))
    label = f"threshold {threshold:.3f}"
    axes.axvline(threshold, ymax=share, color="black", ls="--", label=label)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{100 * y:g}"))
    axes.set_xlabel("Score (cosine, no unit)")
    axes.set_ylabel("Trials of the class (%)")
    axes.legend(frameon=False, loc="upper right", ncols=columns, fontsize=9)


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    """Makes a figure outside pyplot, which keeps global state."""
    figure = Figure(figsize=(width, height), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _save(figure: Figure, path: str | Path) -> None:
    """Writes a figure beside, then renames it."""
    with atomic_path(path) as part:
        figure.savefig(part, format="png")


def _det_limits(
    curves: list[tuple[np.ndarray, np.ndarray]],
) -> tuple[float, float]:
    """Rates between which the curves have something to show."""
    # One error in the smaller class is as fine as a curve can tell.
    finest = max(rates[rates > 0].min() for curve in curves for rates in curve)
    low = max([t for t in RATE_TICKS if t <= finest] or [RATE_TICKS[0]])
    crossing = max(miss[np.argmax(miss >= alarm)] for miss, alarm in curves)
    high = min([t for t in RATE_TICKS if t >= 2 * crossing] or [0.99])
    return min(low, 0.01), max(high, 0.5)


def _deviates(
    miss: np.ndarray, false_alarm: np.ndarray, low: float, high: float
) -> tuple[np.ndarray, np.ndarray]:
    """A curve on normal-deviate axes, thinned where points would overlap."""
    beyond = (low / 10, 1 - (1 - high) / 10)
    across = norm.ppf(np.clip(false_alarm, *beyond))
    up = norm.ppf(np.clip(miss, *beyond))
    if across.size > MAX_POINTS:
        # Evenly along the curve, not along the scores, and both ends kept.
        way = np.cumsum(np.abs(np.diff(across)) + np.abs(np.diff(up)))
        even = np.linspace(0, way[-1], MAX_POINTS)
        keep = np.unique(np.append(np.searchsorted(way, even), way.size))
        across, up = across[keep], up[keep]
    return across, up


def _rate_axes(axes: Axes, low: float, high: float) -> None:
    """Labels both axes in per cent and makes them equal."""
    ticks = [tick for tick in RATE_TICKS if low <= tick <= high]
    limits = norm.ppf([low, high])
    # Labels of neighbours on a long axis would run into each other.
    apart = 0.065 * (limits[1] - limits[0])
    kept: list[float] = []
    for tick in ticks:
        if not kept or norm.ppf(tick) - norm.ppf(kept[-1]) > apart:
            kept.append(tick)
    labels = [f"{100 * tick:g}" for tick in kept]
    axes.set_xlim(*limits)
    axes.set_ylim(*limits)
    axes.set_xticks(norm.ppf(kept), labels, fontsize=9)
    axes.set_yticks(norm.ppf(kept), labels, fontsize=9)
    axes.set_aspect("equal")
    axes.grid(color="0.92")
    axes.set_axisbelow(True)
    axes.set_xlabel("False alarm rate (%)")
    axes.set_ylabel("Miss rate (%)")
