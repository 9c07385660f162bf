"""From the results of single runs to means, intervals and differences."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from speechbrain_kd.evaluation.report import describe_machine
from speechbrain_kd.evaluation.results import gap_closed
from speechbrain_kd.seeds import interval
from speechbrain_kd.study.jobs import Job, Study, cell_jobs, choose, search_jobs
from speechbrain_kd.study.plan import Cell
from speechbrain_kd.study.rates import (
    AS_NORM,
    CROSS,
    CROSS_AS_NORM,
    WHOLE,
    Rates,
)
from speechbrain_kd.study.shared import teacher_result
from speechbrain_kd.study.speakers import over_runs

MEAN = "mean"
COST = "minDCF"
POOLED = "pooled"

#: The error rate where the teacher enrols, over the model's own alike scored.
RATIOS = {
    "enrols / own": (CROSS, WHOLE),
    "enrols / own, AS-norm": (CROSS_AS_NORM, AS_NORM),
}


def summarise(study: Study) -> dict[str, Any]:
    """All that is done of a study, in one mapping.

    Arguments
    ---------
    study : Study
        The study.

    Returns
    -------
    dict[str, Any]
        ``teacher``: rates in %; ``cells``: by name, with ``students``, each
        with ``rates`` and ``differences`` as `interval` gives them, in %, and
        ``seeds`` with the rates of each; ``conditions`` and ``groups`` that
        were measured; what it cost.
    """
    plan = study.plan
    done = {
        (cell.name, student): found
        for cell in plan.cells.values()
        for student, found in _by_student(study, cell).items()
    }
    teacher = teacher_result(study)
    facts: dict[str, Any] = {
        "plan": plan.name,
        "machine": describe_machine(),
        "teacher": None if teacher is None else flat(teacher),
        "cells": {},
    }
    for cell in plan.cells.values():
        chosen = choose(study, cell)
        told: dict[str, Any] = {"says": cell.says, "against": cell.against}
        if chosen is not None:
            told["search"] = {
                "key": chosen.key,
                "of": cell.owner,
                "tried": {x: 100 * rate for x, rate in chosen.tried.items()},
                "value": chosen.value,
            }
        told["students"] = {}
        for student in plan.students:
            found = done.get((cell.name, student))
            others = done.get((cell.against, student), {})
            if found:
                one = _student(found, others, facts["teacher"])
                one |= _over_speakers(study, cell, student, found, others)
                told["students"][student] = one
        facts["cells"][cell.name] = told
    first = next(iter(done.values()), {})
    errors = next(iter(first.values()))["errors"] if first else {}
    facts["conditions"] = [name for name in errors if name != WHOLE]
    facts["groups"] = list(errors[WHOLE]["groups"]) if errors else []
    facts["cost"] = _cost(study, done)
    return facts


def flat(errors: Mapping[str, Rates]) -> dict[str, float]:
    """Rates of one model by what tables call them, in %.

    Arguments
    ---------
    errors : Mapping[str, Rates]
        By condition.

    Returns
    -------
    dict[str, float]
        ``mean``, ``pooled``, each group, ``minDCF`` (not in %); each other
        condition's mean by its name, and ``<condition> <group>``; last, what
        of `RATIOS` was measured.

    Example
    -------
    >>> whole = {"mean": 0.2, "pooled": 0.1, "groups": {}, "min_dcf": 0.9}
    >>> flat({"whole": whole})
    {'mean': 20.0, 'pooled': 10.0, 'minDCF': 0.9}
    """
    whole = errors[WHOLE]
    found = {MEAN: 100 * whole["mean"], POOLED: 100 * whole["pooled"]}
    found |= {name: 100 * rate for name, rate in whole["groups"].items()}
    found[COST] = whole["min_dcf"]
    for name, rates in errors.items():
        if name == WHOLE or rates is None:
            continue
        found[name] = 100 * rates["mean"]
        for group, rate in rates["groups"].items():
            found[f"{name} {group}"] = 100 * rate
    for name, conditions in RATIOS.items():
        enrols, own = map(errors.get, conditions)
        if enrols and own and own["mean"] > 0:
            found[name] = enrols["mean"] / own["mean"]
    return found


def _by_student(study: Study, cell: Cell) -> dict[str, dict[int, dict]]:
    """Results that are done, by student and seed."""
    chosen = choose(study, cell)
    if chosen is not None and chosen.value is None:
        return {}
    found: dict[str, dict[int, dict]] = {}
    for job in cell_jobs(study, cell):
        result = job.result()
        if result is not None:
            found.setdefault(job.student, {})[job.seed] = result
    return found


def _student(
    found: Mapping[int, dict],
    against: Mapping[int, dict],
    teacher: Mapping[str, float] | None,
) -> dict[str, Any]:
    """Means of a cell and student, and its paired differences."""
    seeds = {seed: flat(one["errors"]) for seed, one in found.items()}
    others = {
        seed: flat(one["errors"])
        for seed, one in against.items()
        if seed in seeds
    }
    told: dict[str, Any] = {
        "seeds": seeds,
        "rates": _intervals(list(seeds.values())),
        "train_s": median(one["train_s"] for one in found.values()),
        "measure_s": median(one["measure_s"] for one in found.values()),
        "seen": sorted({str(one["seen"]) for one in found.values()}),
    }
    if not others:
        return told
    pairs = [(seeds[seed], others[seed]) for seed in others]
    told["differences"] = _intervals(
        [
            {key: one[key] - other[key] for key in one if key in other}
            for one, other in pairs
        ]
    )
    if all(other[MEAN] > 0 for _, other in pairs):
        told["relative"] = interval(
            [100 * (one[MEAN] / other[MEAN] - 1) for one, other in pairs]
        )
    if teacher is not None:
        closed = [
            gap_closed(teacher[MEAN], other[MEAN], one[MEAN])
            for one, other in pairs
        ]
        if None not in closed:
            told["gap_closed"] = interval([100 * share for share in closed])
    return told


def _over_speakers(
    study: Study,
    cell: Cell,
    student: str,
    found: Mapping[int, dict],
    others: Mapping[int, dict],
) -> dict[str, dict[str, float]]:
    """The difference of a cell and student over speakers, in %."""
    cells = cell, study.plan.cells.get(cell.against)
    runs = [
        [
            Job(study, one, student, seed).folder
            for seed in found
            if seed in others
        ]
        for one in cells
        if one is not None
    ]
    if len(runs) < 2 or not runs[0]:
        return {}
    told = over_runs(study, *runs)
    if told is None:
        return {}
    return {"over_speakers": {key: 100 * value for key, value in told.items()}}


def _intervals(rows: Sequence[Mapping[str, float]]) -> dict[str, dict]:
    """Mean and interval over seeds of what all of them have."""
    return {
        key: interval([row[key] for row in rows])
        for key in rows[0]
        if all(key in row for row in rows)
    }


def _cost(study: Study, done: Mapping[tuple, Mapping[int, dict]]) -> dict:
    """Seconds of all that is done, searches included."""
    results = [one for found in done.values() for one in found.values()]
    tried: dict[str, Job] = {}
    for cell in study.plan.cells.values():
        tried |= {job.name: job for job in search_jobs(study, cell)}
    searches = [job.result() for job in tried.values()]
    searches = [one for one in searches if one is not None]
    return {
        "runs": len(results),
        "search_runs": len(searches),
        "train_s": sum(one["train_s"] for one in results),
        "search_s": sum(one["train_s"] + one["measure_s"] for one in searches),
        "measure_s": sum(one["measure_s"] for one in results),
    }
