"""What a study does, step by step: teacher, searches, cells, tables."""

import json
import logging
import shlex
import shutil
import sys
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

from speechbrain_kd.atomic import atomic_path
from speechbrain_kd.study.cost import expected_s
from speechbrain_kd.study.files import write_json
from speechbrain_kd.study.jobs import Job, Study, cell_jobs, choose, search_jobs
from speechbrain_kd.study.picture import draw_differences
from speechbrain_kd.study.plan import Cell
from speechbrain_kd.study.runner import run_all
from speechbrain_kd.study.shared import make_view, run_teacher
from speechbrain_kd.study.summary import summarise
from speechbrain_kd.study.tables import report, write_between
from speechbrain_kd.study.train import run_job

logger = logging.getLogger(__name__)


def matching(study: Study, pattern: str) -> list[Cell]:
    """Cells whose names fit.

    Arguments
    ---------
    study : Study
        The study.
    pattern : str
        As of files: ``cos*``; several, separated by commas.

    Returns
    -------
    list[Cell]
        In the plan's order. ValueError where none fits.
    """
    cells = study.plan.cells
    found = [
        cell
        for name, cell in cells.items()
        if any(fnmatch(name, one) for one in pattern.split(","))
    ]
    if not found:
        raise ValueError(
            f"{pattern}: no cell of this name; the plan has {', '.join(cells)}"
        )
    return found


def run_study(
    study: Study, pattern: str, at_once: int, again: Sequence[str]
) -> list[str]:
    """Runs all that is not done, each job in a process of its own.

    Arguments
    ---------
    study : Study
        The study.
    pattern : str
        Which cells.
    at_once : int
        Jobs at a time.
    again : Sequence[str]
        What the command is given for the same study; a job's own options are
        put after the plan.

    Returns
    -------
    list[str]
        Names of the jobs that failed, and of the cells whose search did.
    """
    cells = matching(study, pattern)
    run_teacher(study)
    for cell in cells:
        make_view(study, cell)

    def command(job: Job) -> list[str]:
        own = [f"--cell={job.cell.name}"]
        if job.searching:
            own.append(f"--try={job.value}")
        else:
            own += [f"--student={job.student}", f"--seed={job.seed}"]
        return ["-m", "speechbrain_kd.study", again[0], *own, *again[1:]]

    searches = {
        job.name: job for cell in cells for job in search_jobs(study, cell)
    }
    failures = run_all(searches.values(), command, at_once)
    jobs: list[Job] = []
    for cell in cells:
        chosen = choose(study, cell)
        if chosen is None or chosen.value is not None:
            jobs += cell_jobs(study, cell)
        else:
            logger.error("%s: left out, as its search failed", cell.name)
    failures += run_all(jobs, command, at_once)
    return [failure.name for failure in failures]


def run_one(
    study: Study,
    name: str,
    student: str | None = None,
    seed: int | None = None,
    tried: str | None = None,
) -> None:
    """Runs one training in this process, and shows what came out.

    Arguments
    ---------
    study : Study
        The study.
    name : str
        Of the cell. What it searches is searched first, if it is not done.
    student : str | None
        By name; None is the plan's first.
    seed : int | None
        None is the plan's first.
    tried : str | None
        A value of the cell's search: only that training.

    Raises
    ------
    ValueError
        If cell, student or value is not in the plan.
    """
    plan = study.plan
    if name not in plan.cells:
        raise ValueError(f"--cell={name}: the plan has {', '.join(plan.cells)}")
    cell, student = plan.cells[name], student or next(iter(plan.students))
    if student not in plan.students:
        raise ValueError(
            f"--student={student}: the plan has {', '.join(plan.students)}"
        )
    searches = search_jobs(study, cell)
    if tried is not None:
        searches = [job for job in searches if job.value == tried]
        if not searches:
            raise ValueError(f"--try={tried}: {name} does not search it")
    for job in searches:
        _show(job)
    if tried is None:
        run_teacher(study)
        chosen = choose(study, cell)
        value = None if chosen is None else chosen.value
        seed = plan.seeds[0] if seed is None else seed
        _show(Job(study, cell, student, seed, value))


def _show(job: Job) -> None:
    """Says the command, runs the job and shows its error rates."""
    logger.info("python train_kd.py %s", shlex.join(job.command()))
    found = run_job(job)
    shown = {
        key: found[key] for key in ("validation", "errors") if key in found
    }
    sys.stdout.write(f"{job.name}: {json.dumps(shown, indent=1)}\n")


def listing(study: Study, pattern: str) -> str:
    """Commands of all jobs, and what those that are not done should cost.

    Arguments
    ---------
    study : Study
        The study.
    pattern : str
        Which cells.

    Returns
    -------
    str
        A comment and a command for each job.
    """
    lines, known, unknown = [], 0.0, 0
    jobs: dict[str, tuple[Job, str]] = {}
    for cell in matching(study, pattern):
        for job in search_jobs(study, cell):
            jobs[job.name] = (job, "")
        chosen = choose(study, cell)
        open_search = chosen is not None and chosen.value is None
        wait = f", {chosen.key} not chosen yet" if open_search else ""
        for job in cell_jobs(study, cell):
            jobs[job.name] = (job, wait)
    for job, wait in jobs.values():
        state = "done"
        if wait or job.result() is None:
            seconds = expected_s(study, job)
            known, unknown = known + (seconds or 0), unknown + (seconds is None)
            state = "cost unknown" if seconds is None else f"{seconds:.0f} s"
        lines.append(f"# {job.name}: {state}{wait}")
        lines.append(f"python train_kd.py {shlex.join(job.command())}")
    lines.append(
        f"# {len(jobs)} jobs; to do: {known / 3600:.2f} hours of one process, "
        f"by what was measured, and {unknown} jobs like none that is done."
    )
    return "\n".join(lines) + "\n"


def publish(study: Study, page: Path | None) -> str:
    """Writes ``results.json``, ``index.md`` and ``study.png``.

    Arguments
    ---------
    study : Study
        The study.
    page : Path | None
        Also gets the tables, between its marks, and the picture beside it.

    Returns
    -------
    str
        The tables.
    """
    facts = summarise(study)
    write_json(study.output / "results.json", facts)
    picture = draw_differences(facts, study.output)
    text = report(facts, None if picture is None else picture.name)
    with atomic_path(study.output / "index.md") as part:
        title = f"# The study {study.plan.name}\n\n"
        part.write_text(title + text, encoding="utf-8")
    if page is not None:
        address = None
        if picture is not None:
            address = f"pictures/study_{study.plan.name}.png"
            with atomic_path(page.parent / address) as part:
                shutil.copyfile(picture, part)
        write_between(page, study.plan.name, report(facts, address))
    return text
