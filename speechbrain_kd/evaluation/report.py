"""The report of an evaluation: a table, pictures and results.json."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path

import torch

from speechbrain_kd.atomic import atomic_path
from speechbrain_kd.evaluation.metrics import Scores
from speechbrain_kd.evaluation.page_text import scaled
from speechbrain_kd.evaluation.plots import plot_det, plot_histogram
from speechbrain_kd.evaluation.results import SystemResult, gap_closed
from speechbrain_kd.markdown import table

# Rows come in this order, whatever the order of the systems; others follow.
ROLES = {
    "teacher": "teacher",
    "baseline": "baseline (student without teacher)",
    "student": "student (distilled)",
}
HEADER = (
    "system",
    "parameters",
    "GMAC per 2 s",
    "size",
    "ms per s of speech, 1 thread",
    "EER",
    "minDCF (0.01)",
    "minDCF (0.05)",
    "gap closed",
)
SEEN = "test speakers met before"
System = SystemResult | Mapping[str, float | int | str | None]


def markdown_table(systems: Mapping[str, System]) -> str:
    """Sets systems side by side: what they cost and how often they err.

    Arguments
    ---------
    systems : Mapping[str, System]
        Results by name: ``teacher``, ``baseline``, ``student`` or others; any
        may be missing. What was not measured is a dash. Where any says in
        ``seen`` what it has met of the test speakers, a column tells of all.

    Returns
    -------
    str
        A Markdown table, a row for each system.

    Example
    -------
    >>> table = markdown_table({"student": {"eer": 0.0612, "params": 39600}})
    >>> print(table.splitlines()[2])
    | student (distilled) | 39.6 k | – | – | – | 6.12 % | – | – | – |
    """
    results = _as_dicts(systems)
    rows, share = [], _share(results)
    told = any(result.get("seen") for result in results.values())
    for name, result in results.items():
        rows.append(
            (
                ROLES.get(name, name),
                scaled(result.get("params")),
                _fixed(result.get("gmac"), "#.3g"),
                scaled(result.get("bytes"), "B"),
                _fixed(result.get("ms_per_second"), "#.3g"),
                _fixed(result.get("eer"), ".2%"),
                _fixed(result.get("min_dcf"), ".3f"),
                _fixed(result.get("min_dcf_05"), ".3f"),
                _fixed(share if name == "student" else None, ".0%"),
                *([result.get("seen") or "not known"] if told else []),
            )
        )
    return table((*HEADER, *([SEEN] if told else [])), rows)


def write_report(
    folder: str | Path,
    systems: Mapping[str, System],
    scores: Mapping[str, tuple[Scores, Scores]],
    title: str = "Speaker verification",
    notes: Sequence[str] = (),
) -> Path:
    """Writes results.json, report.md, det.png and scores_<system>.png.

    Arguments
    ---------
    folder : str | Path
        Where to write; made if missing.
    systems : Mapping[str, System]
        Results by name: ``teacher``, ``baseline``, ``student`` or others.
    scores : Mapping[str, tuple[Scores, Scores]]
        Target and impostor scores of the same systems (`TrialList.split`).
    title : str
        Heading of the report.
    notes : Sequence[str]
        How it was made: a list of sentences.

    Returns
    -------
    Path
        The report, ``report.md``.

    Raises
    ------
    ValueError
        If there is no system, it has no scores, or a name fits no file.

    Example
    -------
    >>> from speechbrain_kd.evaluation.results import measure
    >>> scores = {"student": ([0.9, 0.8], [0.2, 0.1])}
    >>> systems = {name: measure(*both) for name, both in scores.items()}
    >>> report = write_report(getfixture("tmp_path"), systems, scores)
    >>> sorted(file.name for file in report.parent.iterdir())
    ['det.png', 'report.md', 'results.json', 'scores_student.png']
    """
    folder = Path(folder)
    results = _as_dicts(systems)
    _check_names(results, scores)
    facts = {
        "title": title,
        "date": f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%S+00:00}",
        "machine": describe_machine(),
        "trials": _trials(scores),
        "systems": results,
        "gap_closed": _share(results),
        "notes": list(notes),
    }
    # Pictures first: the report must not link what is not there.
    plot_det({name: scores[name] for name in results}, folder / "det.png")
    for name, result in results.items():
        plot_histogram(
            *scores[name],
            result["threshold"],
            folder / f"scores_{name}.png",
            title=f"Scores of the {name}",
        )
    with atomic_path(folder / "results.json") as part:
        text = json.dumps(facts, indent=2, ensure_ascii=False, allow_nan=False)
        part.write_text(text + "\n", encoding="utf-8")
    with atomic_path(folder / "report.md") as part:
        part.write_text(_report(facts), encoding="utf-8")
    return folder / "report.md"


def describe_machine() -> str:
    """The machine in words: system, processor, cores and PyTorch.

    Example
    -------
    >>> torch.__version__ in describe_machine()
    True
    """
    return (
        f"{platform.system()} {platform.machine()}, {_processor()}, "
        f"{os.cpu_count()} cores, Python {platform.python_version()}, "
        f"PyTorch {torch.__version__}"
    )


def _processor() -> str:
    """Name of the processor, which Linux only tells in /proc."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown processor"


def _as_dicts(systems: Mapping[str, System]) -> dict[str, dict]:
    """Results as dictionaries, the known roles first."""
    known = [name for name in ROLES if name in systems]
    results = {}
    for name in [*known, *systems]:
        result = systems[name]
        typed = isinstance(result, SystemResult)
        results[name] = result.to_dict() if typed else dict(result)
    return results


def _share(results: Mapping[str, dict]) -> float | None:
    """Share of the gap closed, where all three systems were measured."""
    rates = [results.get(name, {}).get("eer") for name in ROLES]
    return None if None in rates else gap_closed(*rates)


def _trials(scores: Mapping[str, tuple[Scores, Scores]]) -> dict[str, int]:
    """Numbers of trials; one list scores all systems."""
    target, impostor = map(len, next(iter(scores.values())))
    return {"target": target, "impostor": impostor, "total": target + impostor}


def _check_names(
    results: Mapping[str, dict], scores: Mapping[str, tuple[Scores, Scores]]
) -> None:
    """Raises unless every system has scores and a name fit for a file."""
    if not results:
        raise ValueError("no system to report: expected at least one")
    if set(results) != set(scores):
        raise ValueError(
            f"expected scores of the systems {sorted(results)}, got those of "
            f"{sorted(scores)}"
        )
    for name in results:
        if not name.replace("-", "").replace("_", "").isalnum():
            raise ValueError(
                f"the system {name!r} needs a name of letters, digits, '-' "
                "and '_': its picture is named after it"
            )


def _fixed(value: float | None, form: str) -> str:
    """A number in a given form, or a dash where there is none."""
    return "–" if value is None else f"{value:{form}}".replace("%", " %")


def _report(facts: dict) -> str:
    """The text of report.md."""
    trials = facts["trials"]
    lines = [f"# {facts['title']}", "", markdown_table(facts["systems"])]
    lines += ["![DET curves](det.png)", ""]
    for name in facts["systems"]:
        lines += [f"![Scores of the {name}](scores_{name}.png)", ""]
    lines += [
        "## How this was made",
        "",
        f"- {trials['total']:,} trials: {trials['target']:,} of one speaker, "
        f"{trials['impostor']:,} of two; cosine scores of whole utterances.",
        "- EER: equal error rate. minDCF: least detection cost at that prior "
        "of a target trial, normalised; 1 is as good as not listening.",
        "- Gap closed: share of the difference in EER between baseline and "
        "teacher by which the student is better than the baseline.",
        "- GMAC: 10⁹ multiply-adds from the features of 2 s of speech to the "
        "embedding. Size: the float32 encoder as saved. Time: median.",
        f"- {facts['date']}, {facts['machine']}.",
    ]
    lines += [f"- {note}" for note in facts["notes"]]
    return "\n".join(lines) + "\n"
