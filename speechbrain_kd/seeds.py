"""Baseline against distilled student over several seeds, with intervals.

    python -m speechbrain_kd.seeds --output results/seeds --seeds 1 2 3
    python -m speechbrain_kd.seeds --output results/mine -- \
        --data_folder=/corpora/mine --teacher=hparams/teachers/NAME.yaml

Seeds share data, split and teacher. What is finished is not done again.
"""

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy import stats

from speechbrain_kd.atomic import atomic_path
from speechbrain_kd.evaluation.report import describe_machine
from speechbrain_kd.evaluation.results import gap_closed
from speechbrain_kd.process import run_training

#: What the baseline must not be given: it has no teacher.
_ONLY_STUDENT = ("--teacher", "--distillation", "--evaluate_teacher")


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains every seed of both, then writes the comparison.

    Arguments
    ---------
    arguments : Sequence[str] | None
        See the module; after ``--`` come overrides for ``train_kd.py``.
    """
    parser = argparse.ArgumentParser(prog="speechbrain-kd seeds")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--hparams", type=Path, default=Path("hparams"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    runs = {
        name: [train(name, seed, options) for seed in options.seeds]
        for name in ("baseline", "student")
    }
    text = write_comparison(options.output, runs, options.overrides)
    sys.stdout.write(text)


def train(name: str, seed: int, options: argparse.Namespace) -> dict:
    """Trains one system with one seed, unless it is there already.

    Arguments
    ---------
    name : str
        ``baseline`` or ``student``: a yaml in ``options.hparams``.
    seed : int
        The run's seed.
    options : argparse.Namespace
        Output folder and overrides.

    Returns
    -------
    dict
        ``results.json`` of the run.
    """
    folder = options.output / f"{name}_{seed}"
    results = folder / "report" / "results.json"
    if not results.is_file():
        overrides = [
            override
            for override in options.overrides
            if name == "student" or not override.startswith(_ONLY_STUDENT)
        ]
        command = [
            str(options.hparams / f"{name}.yaml"),
            f"--output_folder={folder}",
            f"--seed={seed}",
            *overrides,
        ]
        status = run_training(command)
        if status != 0:
            sys.exit(status)
    return json.loads(results.read_text(encoding="utf-8"))


def write_comparison(
    output: Path, runs: dict[str, list[dict]], overrides: Sequence[str]
) -> str:
    """Writes ``seeds.json`` and ``seeds.md``.

    Arguments
    ---------
    output : Path
        The folder.
    runs : dict[str, list[dict]]
        Of ``baseline`` and ``student``, a ``results.json`` a seed.
    overrides : Sequence[str]
        What the runs were given.

    Returns
    -------
    str
        The table, as Markdown.
    """
    errors = {
        name: [100 * _own(run)["eer"] for run in results]
        for name, results in runs.items()
    }
    teacher = _teacher_eer(runs["student"])
    difference = np.subtract(errors["student"], errors["baseline"])
    facts = {
        "machine": describe_machine(),
        "overrides": list(overrides),
        "teacher_eer_percent": teacher,
        "eer_percent": errors,
        "baseline": interval(errors["baseline"]),
        "student": interval(errors["student"]),
        "difference": interval(difference),
    }
    if teacher is not None:
        closed = [
            gap_closed(teacher, *pair)
            for pair in zip(errors["baseline"], errors["student"], strict=True)
        ]
        if None not in closed:  # a baseline as good as the teacher: no gap
            facts["gap_closed_percent"] = [100 * share for share in closed]
            facts["gap_closed"] = interval(facts["gap_closed_percent"])
    text = _table(facts)
    for file, content in (
        ("seeds.json", json.dumps(facts, indent=2) + "\n"),
        ("seeds.md", text),
    ):
        with atomic_path(output / file) as part:
            part.write_text(content, encoding="utf-8")
    return text


def interval(values: Sequence[float], level: float = 0.95) -> dict:
    """Mean and Student's confidence interval of the mean over seeds.

    Arguments
    ---------
    values : Sequence[float]
        One value a seed.
    level : float
        Confidence, 0 to 1.

    Returns
    -------
    dict
        ``mean``, ``low``, ``high``; the bounds are ``None`` for one value.

    Example
    -------
    >>> {key: round(value, 2) for key, value in interval([1, 2, 3]).items()}
    {'mean': 2.0, 'low': -0.48, 'high': 4.48}
    """
    mean = float(np.mean(values))
    if len(values) < 2:
        return {"mean": mean, "low": None, "high": None}
    quantile = stats.t.ppf((1 + level) / 2, len(values) - 1)
    half = float(quantile * stats.sem(values))
    return {"mean": mean, "low": mean - half, "high": mean + half}


def _own(run: dict) -> dict:
    """The result of the system that a run trained."""
    systems = run["systems"]
    return systems["student"] if "student" in systems else systems["model"]


def _teacher_eer(students: list[dict]) -> float | None:
    """EER of the teacher in %, from the runs that evaluated it."""
    for run in students:
        if "teacher" in run["systems"]:
            return 100 * run["systems"]["teacher"]["eer"]
    return None


def _table(facts: dict) -> str:
    """The comparison as Markdown."""
    rows = [("", "EER %, each seed", "mean [95 % interval]"), ("---",) * 3]
    if facts["teacher_eer_percent"] is not None:
        rows.append(("teacher", f"{facts['teacher_eer_percent']:.2f}", ""))
    for name in ("baseline", "student"):
        each = " · ".join(f"{e:.2f}" for e in facts["eer_percent"][name])
        rows.append((name, each, spread(facts[name])))
    rows.append(("student − baseline", "", spread(facts["difference"])))
    if "gap_closed" in facts:
        each = " · ".join(f"{e:.0f} %" for e in facts["gap_closed_percent"])
        closed = spread(facts["gap_closed"], digits=0)
        rows.append(("gap closed", each, f"{closed} %"))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def spread(part: dict, digits: int = 2) -> str:
    """A mean with its interval, where it has one, as people read it.

    Arguments
    ---------
    part : dict
        As ``interval`` gives it.
    digits : int
        After the point.

    Returns
    -------
    str
        Such as ``3.83 [2.69, 4.96]``.
    """
    if part["low"] is None:
        return f"{part['mean']:.{digits}f}"
    return (
        f"{part['mean']:.{digits}f} [{part['low']:.{digits}f}, "
        f"{part['high']:.{digits}f}]"
    )


if __name__ == "__main__":
    main()
