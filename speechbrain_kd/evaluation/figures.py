"""Figures that are kept twice: as a PNG, and as SVG inside a page.

A PNG has a white ground. In the SVG, text and axes take the colour of the
text around them, the ground is clear, and the series have the page's colours
``--series-0`` to ``--series-5``: the page may be light or dark. Beside its
colour every series has a dash and a marker, for colour-blind readers.
"""

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from speechbrain_kd.atomic import atomic_path
from speechbrain_kd.evaluation.plots import COLOURS, DASHES

MARKERS = ("o", "s", "^", "D", "v", "P")
GRID = "#ebebeb"
# What stands in the SVG of matplotlib, and what the page shall say.
PAGE_COLOURS = {
    "#000000": "currentColor",
    "#ffffff": "var(--paper)",
    "#cccccc": "var(--line)",
    GRID: "var(--line)",
    **{
        colour.lower(): f"var(--series-{number})"
        for number, colour in enumerate(COLOURS)
    },
}


@dataclass(frozen=True)
class Picture:
    """A picture on a page.

    Arguments
    ---------
    name : str
        Name of its PNG, without the extension.
    svg : str
        An ``<svg>`` element.
    alt : str
        What it shows, for those who do not see it.
    caption : str
        The line below it.
    """

    name: str
    svg: str
    alt: str
    caption: str


def series_style(number: int) -> dict[str, Any]:
    """Colour, dash and marker of a series by its number.

    Example
    -------
    >>> series_style(0) != series_style(6)
    True
    """
    turn = number // len(COLOURS)
    return {
        "color": COLOURS[number % len(COLOURS)],
        "linestyle": DASHES[(number + turn) % len(DASHES)],
        "marker": MARKERS[(number + turn) % len(MARKERS)],
    }


def new_axes(width: float = 4.6, height: float = 3.4) -> tuple[Figure, Axes]:
    """Makes a figure that a phone shows at its own size, with one plot.

    Arguments
    ---------
    width : float
        In inches; 4.6 are as many points as a phone is wide.
    height : float
        In inches.
    """
    figure = Figure(figsize=(width, height), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def keep(
    figure: Figure, folder: str | Path, name: str, alt: str, caption: str
) -> Picture:
    """Writes the PNG of a figure and makes the SVG of it.

    Arguments
    ---------
    figure : Figure
        Matplotlib's figure.
    folder : str | Path
        Where ``<name>.png`` is written.
    name : str
        Letters, digits, "-" and "_".
    alt : str
        What the picture shows.
    caption : str
        The line below it.

    Returns
    -------
    Picture
        Ready for a page.
    """
    with atomic_path(Path(folder) / f"{name}.png") as part:
        figure.savefig(part, format="png")
    text = io.StringIO()
    # Text stays text: it is small, can be searched and takes the page's font.
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    settings = {"svg.fonttype": "none", "svg.hashsalt": name}
    with matplotlib.rc_context(settings):
        figure.savefig(text, format="svg", transparent=True, metadata=nothing)
    return Picture(name, page_svg(text.getvalue(), name), alt, caption)


def page_svg(svg: str, name: str) -> str:
    """Makes an element of a page of matplotlib's SVG document.

    Arguments
    ---------
    svg : str
        The document.
    name : str
        Put before every id, so that no two pictures share one.

    Returns
    -------
    str
        ``<svg>`` without a fixed size, colours or addresses of its own.

    Example
    -------
    >>> document = '<?xml?><svg width="9pt" height="9pt" viewBox="0 0 9 9">'
    >>> page_svg(document + '<g id="a" style="fill: #000000"/></svg>', "det")
    '<svg viewBox="0 0 9 9"><g id="det-a" style="fill: currentColor"/></svg>'
    """
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    head, end, body = svg.partition(">")
    head = re.sub(r'\s(width|height|version|xmlns(:\w+)?)="[^"]*"', "", head)
    svg = head + end + body
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", svg)
    # Attributes of XML's own name space are plain ones in HTML.
    svg = svg.replace("xlink:href", "href")
    svg = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", svg)
    return re.sub(
        r"#[0-9a-f]{6}\b",
        lambda match: PAGE_COLOURS.get(match[0], match[0]),
        svg,
    )


def slug(name: str) -> str:
    """A name fit for a file.

    Example
    -------
    >>> slug("train loss (KL)/2")
    'train_loss_KL_2'
    """
    kept = "".join(one if one.isalnum() or one == "-" else " " for one in name)
    return "_".join(kept.split()) or "_"
