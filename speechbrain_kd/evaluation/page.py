"""The page of an evaluation: one file that needs no network and no script.

``index.html`` holds its pictures, styles and the little script that switches
lists and sorts tables; it forbids itself to load anything. Names come from
files and hubs, so the template escapes all of them.
"""

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from speechbrain_kd.atomic import atomic_path
from speechbrain_kd.evaluation.evaluation import Evaluation, plain
from speechbrain_kd.evaluation.figures import Picture, slug
from speechbrain_kd.evaluation.hard_cases import HardCases
from speechbrain_kd.evaluation.histories import History
from speechbrain_kd.evaluation.maps import SpeakerMap
from speechbrain_kd.evaluation.page_text import (
    best_values,
    fixed,
    marked,
    percent,
    points,
    scaled,
    told,
)
from speechbrain_kd.evaluation.pictures import (
    det_picture,
    histogram_picture,
    history_pictures,
    map_picture,
)
from speechbrain_kd.evaluation.rate_pictures import (
    COSTS,
    breakdown_picture,
    pareto_picture,
)
from speechbrain_kd.evaluation.trials import TrialList

Hard = Mapping[str, Mapping[str, HardCases]]


def write_page(
    folder: str | Path,
    evaluation: Evaluation,
    scored: Mapping[str, Mapping[str, np.ndarray]],
    trials_by_list: Mapping[str, TrialList],
    maps: Mapping[str, SpeakerMap] | None = None,
    histories: Mapping[str, History] | None = None,
    hard: Hard | None = None,
    title: str = "Speaker verification",
) -> Path:
    """Writes index.html, results.json and pictures/*.png.

    Arguments
    ---------
    folder : str | Path
        Where to write; made if missing.
    evaluation : Evaluation
        What was found.
    scored : Mapping[str, Mapping[str, np.ndarray]]
        Scores by list and system, [trials].
    trials_by_list : Mapping[str, TrialList]
        The trials of each list.
    maps : Mapping[str, SpeakerMap] | None
        A map of the same test speakers by system (`speaker_maps`).
    histories : Mapping[str, History] | None
        The training logs by system (`read_history`).
    hard : Mapping[str, Mapping[str, HardCases]] | None
        The worst speakers and trials by list and system (`hard_cases`).
    title : str
        Heading of the page.

    Returns
    -------
    Path
        The page, ``index.html``.

    Raises
    ------
    ValueError
        If there is no system or list, or one lacks its scores or result.
    """
    folder = Path(folder)
    maps, histories, hard = maps or {}, histories or {}, hard or {}
    _check(evaluation, scored, trials_by_list)
    names = [facts.name for facts in evaluation.systems]
    pictures = folder / "pictures"
    lists = [
        _of_list(name, evaluation, scored[name], trials_by_list[name], pictures)
        | {"hard": hard.get(name, {})}
        for name in evaluation.lists
    ]
    where = [
        (found, breakdown_picture(found, names, pictures, f"where_{number}"))
        for number, found in enumerate(evaluation.where, start=1)
    ]
    text = _template().render(
        title=title,
        date=f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC",
        found=evaluation,
        reference=names[0],
        number={name: number % 6 for number, name in enumerate(names)},
        lists=lists,
        where=where,
        training=history_pictures(histories, names, pictures),
        maps=[
            (map_picture(one, pictures, f"map_{slug(name)}", name), one)
            for name, one in maps.items()
        ],
    )
    facts = {"title": title} | evaluation.to_dict()
    facts["hard"] = {
        name: {system: one.to_dict() for system, one in by_system.items()}
        for name, by_system in hard.items()
    }
    with atomic_path(folder / "results.json") as part:
        found = json.dumps(plain(facts), indent=2, ensure_ascii=False)
        part.write_text(found + "\n", encoding="utf-8")
    with atomic_path(folder / "index.html") as part:
        part.write_text(text, encoding="utf-8", errors="replace")
    return folder / "index.html"


def _of_list(
    name: str,
    evaluation: Evaluation,
    scores: Mapping[str, np.ndarray],
    trials: TrialList,
    folder: Path,
) -> dict[str, Any]:
    """What the template needs of a trial list."""
    results = evaluation.results[name]
    systems = [one for one in evaluation.systems if one.name in results]
    parted = {one.name: trials.split(scores[one.name]) for one in systems}
    place = slug(name)
    return {
        "name": name,
        "id": f"list-{place}",
        "systems": systems,
        "results": results,
        "met": {
            one.name: told(evaluation.seen, name, one.name) for one in systems
        },
        "marked": {
            one.name: marked(evaluation.seen, name, one.name) != one.name
            for one in systems
        },
        "best": best_values(results),
        "differences": {
            (one.system, one.statistic): one
            for one in evaluation.differences
            if one.list == name
        },
        "cross": [one for one in evaluation.cross if one.list == name],
        "det": det_picture(parted, folder, f"det_{place}", name),
        "histograms": [
            histogram_picture(
                parted[one.name],
                results[one.name].threshold,
                folder,
                f"scores_{place}_{slug(one.name)}",
                one.name,
                name,
            )
            for one in systems
        ],
        "pareto": _pareto(evaluation, name, folder),
    }


def _pareto(evaluation: Evaluation, name: str, folder: Path) -> list[Picture]:
    """Accuracy against every cost that is known."""
    results = evaluation.results[name]
    pictures = [
        pareto_picture(
            evaluation.systems,
            results,
            cost,
            folder,
            f"pareto_{cost}_{slug(name)}",
            name,
        )  # fmt: skip
        for cost in COSTS
    ]
    return [picture for picture in pictures if picture is not None]


def _check(
    evaluation: Evaluation,
    scored: Mapping[str, Mapping[str, np.ndarray]],
    trials: Mapping[str, TrialList],
) -> None:
    """Raises unless every list has trials, results and their scores."""
    if not evaluation.systems or not evaluation.lists:
        raise ValueError(
            "expected at least one system and one trial list, got "
            f"{len(evaluation.systems)} and {len(evaluation.lists)}"
        )
    slugs = [slug(name) for name in evaluation.lists]
    if len(set(slugs)) < len(slugs):
        raise ValueError(
            f"the lists {evaluation.lists} need names that differ in letters "
            "and digits: their pictures are named after them"
        )
    for name in evaluation.lists:
        if name not in trials or not evaluation.results.get(name):
            raise ValueError(f"list {name!r}: no trials, or no result")
        lacking = set(evaluation.results[name]) - set(scored.get(name, {}))
        if lacking:
            raise ValueError(
                f"list {name!r}: no scores of the systems {sorted(lacking)}"
            )


def _template() -> jinja2.Template:
    """``page.html`` beside this file, with everything escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": percent,
        "fixed": fixed,
        "scaled": scaled,
    }
    environment.globals["points"] = points
    return environment.get_template("page.html")
