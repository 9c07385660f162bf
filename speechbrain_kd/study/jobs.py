"""One training of a study: its command, its files, whether it is done."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from speechbrain_kd.evaluation.figures import slug
from speechbrain_kd.study.files import read_json
from speechbrain_kd.study.options import arguments, digest, fill
from speechbrain_kd.study.plan import Cell, Plan

#: Stands for the teacher among the cells: nothing is trained.
TEACHER = "teacher"
WITHHELD = "withheld"


@dataclass(frozen=True)
class Study:
    """A plan and where its results lie.

    Arguments
    ---------
    plan : Plan
        With its places.
    output : Path
        The folder of the study.
    extra : tuple[str, ...]
        Further options of every training.
    device : str
        Where models are measured.
    """

    plan: Plan
    output: Path
    extra: tuple[str, ...] = ()
    device: str = "cpu"


@dataclass(frozen=True)
class Job:
    """One training, and what is measured of it.

    Arguments
    ---------
    study : Study
        To which it belongs.
    cell : Cell
        What is tried.
    student : str
        Name of the student.
    seed : int
        Of the run.
    value : str | None
        Of what is searched.
    searching : bool
        Whether it only helps to choose the value: it is then measured on
        validation trials alone.
    """

    study: Study
    cell: Cell
    student: str
    seed: int
    value: str | None = None
    searching: bool = False

    @property
    def name(self) -> str:
        """What files and messages call it."""
        tried = f"@{slug(self.value)}" if self.searching else ""
        return f"{self.cell.name}{tried}.{self.student}.{self.seed}"

    @property
    def folder(self) -> Path:
        """Of its run."""
        return self.study.output / "runs" / self.name

    @property
    def result_file(self) -> Path:
        """Where it is, the job is done, if the digest in it is the job's."""
        return self.study.output / "cells" / f"{self.name}.json"

    @property
    def log(self) -> Path:
        """What it says while it runs beside others."""
        return self.study.output / "logs" / f"{self.name}.txt"

    def arguments(self) -> list[str]:
        """All that tells what is trained, as options of ``train_kd.py``."""
        plan, cell = self.study.plan, self.cell
        places = dict(plan.places)
        pairs = [*plan.options, *cell.options]
        if cell.withhold:
            view = self.study.output / WITHHELD / f"{cell.withhold:g}"
            places[WITHHELD] = str(view / "unlabelled")
            pairs.append(("data_folder", _text(str(view / "labelled"))))
        if self.value is not None and cell.search is not None:
            pairs.append((cell.search.key, yaml.compose(self.value)))
        pairs.append(("embedding_model", _text(plan.students[self.student])))
        pairs.append(("seed", yaml.compose(str(self.seed))))
        for option in self.study.extra:
            key, _, value = option.removeprefix("--").partition("=")
            pairs.append((key, yaml.compose(value)))
        return [plan.recipe, *arguments(pairs, places)]

    def command(self) -> list[str]:
        """What ``train_kd.py`` is given, with where to write."""
        own = self.arguments()
        added = [
            f"--output_folder={self.folder}",
            f"--store_folder={self.study.output / 'store'}",
            "--evaluate_teacher=False",
            "--noprogressbar",
        ]
        named = {option.partition("=")[0] for option in own}
        return own + [
            one for one in added if one.partition("=")[0] not in named
        ]

    def digest(self) -> str:
        """Tells one training from another; not where it is written."""
        return digest(self.arguments())

    def full_digest(self) -> str:
        """Tells one result from another: also by what is measured."""
        plan = self.study.plan
        measured = "validation" if self.searching else repr(plan.evaluate)
        teacher = fill(plan.teacher, plan.places, "teacher")
        return digest([self.digest(), measured, teacher])

    def result(self) -> dict[str, Any] | None:
        """What was found, if the job is done."""
        found = read_json(self.result_file)
        return found if found.get("digest") == self.full_digest() else None


def search_jobs(study: Study, cell: Cell) -> list[Job]:
    """The trainings by which the value of a cell is chosen.

    Arguments
    ---------
    study : Study
        The study.
    cell : Cell
        Any; one without a search has none.

    Returns
    -------
    list[Job]
        One a value, with one student and a seed that is none of the study's.
    """
    if cell.search is None:
        return []
    plan, owner = study.plan, study.plan.cells[cell.owner]
    student = owner.search.student or next(iter(plan.students))
    return [
        Job(study, owner, student, plan.search_seed, value, searching=True)
        for value in owner.search.values
    ]


@dataclass
class Chosen:
    """What a search came to.

    Arguments
    ---------
    key : str
        The option.
    tried : dict[str, float]
        The validation error, 0 to 1, of each value.
    value : str | None
        The best; None while a value has not been tried.
    """

    key: str
    tried: dict[str, float] = field(default_factory=dict)
    value: str | None = None


def choose(study: Study, cell: Cell) -> Chosen | None:
    """The value of a cell with the lowest validation error.

    Arguments
    ---------
    study : Study
        The study.
    cell : Cell
        Any.

    Returns
    -------
    Chosen | None
        None where nothing is searched.
    """
    jobs = search_jobs(study, cell)
    if not jobs:
        return None
    found = Chosen(jobs[0].cell.search.key)
    for job in jobs:
        result = job.result()
        if result is not None:
            found.tried[job.value] = result["validation"]["mean"]
    if len(found.tried) == len(jobs):
        found.value = min(found.tried, key=found.tried.get)
    return found


def cell_jobs(study: Study, cell: Cell) -> Iterator[Job]:
    """The trainings of a cell that count, its value chosen if it can be.

    Arguments
    ---------
    study : Study
        The study.
    cell : Cell
        The cell.

    Yields
    ------
    Job
        One a student and seed.
    """
    chosen = choose(study, cell)
    value = None if chosen is None else chosen.value
    for student in study.plan.students:
        for seed in study.plan.seeds:
            yield Job(study, cell, student, seed, value)


def _text(value: str) -> yaml.Node:
    """A value that is text, whatever is in it."""
    return yaml.ScalarNode("tag:yaml.org,2002:str", value)
