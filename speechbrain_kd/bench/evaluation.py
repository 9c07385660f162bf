"""Teacher, baseline and student side by side: the page of an evaluation."""

import json
from pathlib import Path

from speechbrain_kd.bench.common import Options
from speechbrain_kd.bench.corpus import corpus_of
from speechbrain_kd.bench.runs import run, train_run

_WHERE = "columns,durations,snr"


def measure(options: Options) -> dict:
    """Trains a student with and without a teacher, and evaluates all three.

    Arguments
    ---------
    options : Options
        ``teachers``: one fragment, by default the one of the embedded corpus;
        the first of ``seeds``; ``overrides`` of the runs. Finished runs are
        re-used.

    Returns
    -------
    dict
        ``page``: the folder of the page, beside ``work``; ``evaluation``: what
        its ``results.json`` holds; ``tables``: its ``report.md``.
    """
    corpus = corpus_of(options)
    if corpus.trials is None:
        raise ValueError(f"{options.data_folder}: no trial list to evaluate on")
    seed, given = options.seeds[0], options.overrides
    teacher = options.teachers or (
        str(options.students.parent / "teachers" / "minivox.yaml"),
    )
    shared = [one for one in given if not one.startswith("--distillation")]
    runs = {
        "baseline": train_run(
            options,
            f"baseline_{seed}",
            "baseline",
            f"--seed={seed}",
            *shared,
            keep=True,
        ),
        "student": train_run(
            options,
            f"student_{seed}",
            "student",
            f"--seed={seed}",
            f"--teacher={teacher[0]}",
            "--evaluate_teacher=False",
            "--store_ahead=True",
            *given,
            keep=True,
        ),
    }
    page = options.work.parent / "evaluation"
    tables = corpus.trials.parent / "speakers.csv"
    run(
        "speechbrain_kd.evaluate",
        *(f"{name}={folder}" for name, folder in runs.items()),
        f"teacher={teacher[0]}",
        "--reference=baseline",
        f"--trials={corpus.trials}",
        "--data_folder=" + ",".join(map(str, corpus.data_folders)),
        *([f"--speakers={tables}"] if tables.is_file() else []),
        "--cross",
        f"--where={_WHERE}",
        f"--output={page}",
        f"--cache={options.work / 'embeddings'}",
        f"--device={options.device}",
        f"--title={options.student} on {Path(corpus.data_folders[0]).name}",
        "--noprogressbar",
    )
    results = json.loads((page / "results.json").read_text(encoding="utf-8"))
    text = (page / "report.md").read_text(encoding="utf-8")
    return {"page": str(page), "evaluation": results, "tables": text}


def report(facts: dict) -> str:
    """Markdown: the tables of the evaluation, and where its page is."""
    return f"{facts['tables']}\nThe page: {facts['page']}/index.html\n"
