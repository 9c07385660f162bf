"""What is drawn of scores, training and embeddings.

See `figures` for how a picture is kept, `rate_pictures` for error rates.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.ticker import MaxNLocator

from speechbrain_kd.evaluation.figures import (
    GRID,
    MARKERS,
    Picture,
    keep,
    new_axes,
    series_style,
    slug,
)
from speechbrain_kd.evaluation.histories import History
from speechbrain_kd.evaluation.maps import SpeakerMap
from speechbrain_kd.evaluation.plots import COLOURS, draw_det, draw_histogram

Scores = tuple[np.ndarray, np.ndarray]


def det_picture(
    systems: Mapping[str, Scores], folder: str | Path, name: str, where: str
) -> Picture:
    """DET curves of all systems on normal-deviate axes.

    Arguments
    ---------
    systems : Mapping[str, tuple[np.ndarray, np.ndarray]]
        Target and impostor scores by system.
    folder : str | Path
        Where the PNG is written.
    name : str
        Name of the PNG.
    where : str
        The trial list, for the texts.
    """
    figure, axes = new_axes(4.6, 4.6 + 0.18 * len(systems))
    draw_det(axes, systems)
    # Above the curves, which may run anywhere.
    axes.get_legend().remove()
    figure.legend(loc="outside upper left", frameon=False, fontsize=9)
    return keep(
        figure,
        folder,
        name,
        f"Detection error trade-off of {', '.join(systems)} on {where}.",
        f"Misses against false alarms at every threshold, {where}. Nearer to "
        "the lower left corner is better; dots are the EERs.",
    )


def histogram_picture(
    scores: Scores,
    threshold: float,
    folder: str | Path,
    name: str,
    system: str,
    where: str,
) -> Picture:
    """Scores of a system, target and impostor trials.

    Arguments
    ---------
    scores : tuple[np.ndarray, np.ndarray]
        Target and impostor scores.
    threshold : float
        Threshold at the EER.
    folder : str | Path
        Where the PNG is written.
    name : str
        Name of the PNG.
    system : str
        The system, for the texts.
    where : str
        The trial list, for the texts.
    """
    figure, axes = new_axes()
    draw_histogram(axes, *scores, threshold, columns=1)
    axes.set_xlabel("Score")  # not always a cosine
    return keep(
        figure,
        folder,
        name,
        f"Histogram of the scores of {system} on {where}.",
        f"{system}: scores on {where} and the threshold at the EER.",
    )


def history_pictures(
    histories: Mapping[str, History], systems: list[str], folder: str | Path
) -> list[Picture]:
    """Training curves: a picture for every term that was logged.

    Arguments
    ---------
    histories : Mapping[str, History]
        The logs by system.
    systems : list[str]
        All systems, which give each its colour.
    folder : str | Path
        Where ``training_<term>.png`` are written.
    """
    names = dict.fromkeys(
        name for history in histories.values() for name in history.series
    )
    pictures = []
    for name in names:
        figure, axes = new_axes(4.6, 2.9)
        for system, history in histories.items():
            if name in history.series:
                values = [
                    np.nan if value is None else value
                    for value in history.series[name]
                ]
                look = series_style(systems.index(system))
                many = len(values) > 12
                look["marker"] = "" if many else look["marker"]
                axes.plot(
                    history.epochs, values, label=system, ms=4, lw=1.8, **look
                )
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.set_xlabel("Epoch")
        axes.set_title(name, loc="left", fontsize=11)
        axes.grid(color=GRID)
        axes.legend(frameon=False, fontsize=9)
        pictures.append(
            keep(
                figure,
                folder,
                f"training_{slug(name)}",
                f"{name} by epoch.",
                f"{name} by epoch.",
            )  # fmt: skip
        )
    return pictures


def map_picture(
    speaker_map: SpeakerMap, folder: str | Path, name: str, system: str
) -> Picture:
    """A map of test speakers, a colour and marker for each.

    Arguments
    ---------
    speaker_map : SpeakerMap
        The points.
    folder : str | Path
        Where the PNG is written.
    name : str
        Name of the PNG.
    system : str
        The system, for the texts.
    """
    figure, axes = new_axes(4.6, 4.6)
    speakers = list(dict.fromkeys(speaker_map.speakers))
    for number, speaker in enumerate(speakers):
        own = np.array([one == speaker for one in speaker_map.speakers])
        axes.plot(
            *speaker_map.points[own].T,
            MARKERS[number // len(COLOURS) % len(MARKERS)],
            color=COLOURS[number % len(COLOURS)],
            ms=6,
            mec="white",
            mew=0.6,
        )
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(True)
    axes.spines[:].set_color("#cccccc")
    axes.set_title(system, loc="left", fontsize=11)
    return keep(
        figure,
        folder,
        name,
        f"Map of {len(speakers)} test speakers by {system}.",
        f"{system}: every point is an utterance, every pair of colour and "
        f"marker one of {len(speakers)} speakers.",
    )
