"""The whole comparison on the embedded corpus, in one command.

Makes the corpus, trains a teacher, trains the student without it and with it
on one schedule, and puts the three side by side. What is finished is not done
again; what was interrupted goes on.
"""

import argparse
import json
import logging
import shutil
import sys
import time
from pathlib import Path

from speechbrain_kd.atomic import atomic_path
from speechbrain_kd.evaluation.report import markdown_table, write_report
from speechbrain_kd.evaluation.score_files import read_scores
from speechbrain_kd.process import run_training

logger = logging.getLogger(__name__)

SYSTEMS = ("teacher", "baseline", "student")
_TITLE = "Distillation on minivox, a synthetic corpus"


def main(arguments: list[str] | None = None) -> None:
    """Runs the demo.

    Arguments
    ---------
    arguments : list[str] | None
        ``--output FOLDER``, ``--seed N``, and after ``--`` overrides for all
        three trainings; by default the command line's.
    """
    parser = argparse.ArgumentParser(prog="speechbrain-kd demo")
    parser.add_argument("--output", type=Path, default=Path("results/demo"))
    parser.add_argument("--hparams", type=Path, default=Path("hparams"))
    parser.add_argument("--seed", type=int, default=1986)
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("fontTools").setLevel(logging.WARNING)
    start = time.monotonic()
    for name in SYSTEMS:
        train_system(name, options)
    report = compare(options.output)
    with atomic_path(options.output / "export") as part:
        shutil.copytree(options.output / "student" / "export", part)
    say_where(options.output, report, time.monotonic() - start)


def train_system(name: str, options: argparse.Namespace) -> None:
    """Trains one of the three, unless it is there already.

    Arguments
    ---------
    name : str
        ``teacher``, ``baseline`` or ``student``.
    options : argparse.Namespace
        Where and with which seed. The teacher does not depend on the seed,
        so that seeds of the student share it.
    """
    folder = options.output / name
    if (folder / "report" / "results.json").is_file() and (
        folder / "export" / "README.md"
    ).is_file():
        logger.info("%s: finished before, in %s", name, folder)
        return
    command = [
        str(options.hparams / f"{name}.yaml"),
        f"--output_folder={folder}",
        *options.overrides,
    ]
    if name != "teacher":
        command.append(f"--seed={options.seed}")
    if name == "student":
        teacher = options.output / "teacher"
        command += [
            f"--teacher={{source: {teacher}}}",
            "--evaluate_teacher=False",
        ]
    logger.info("\n=== %s: %s", name, " ".join(command))
    status = run_training(command)
    if status != 0:
        sys.exit(status)


def compare(output: Path) -> Path:
    """Writes the report on the three systems.

    Arguments
    ---------
    output : Path
        Holds their run folders.

    Returns
    -------
    Path
        ``report/report.md``.
    """
    systems, scores, notes = {}, {}, []
    for name in SYSTEMS:
        run = json.loads(
            (output / name / "report" / "results.json").read_text()
        )
        (systems[name],) = run["systems"].values()
        labels, values = read_scores(output / name / "scores.txt")
        scores[name] = (values[labels], values[~labels])
        notes += [f"{name}: {note}" for note in run["notes"]]
    notes.append(
        "Made by `make demo`. minivox is synthetic speech: these are no "
        "VoxCeleb results."
    )
    return write_report(output / "report", systems, scores, _TITLE, notes)


def say_where(output: Path, report: Path, seconds: float) -> None:
    """Shows the table and says where everything lies."""
    results = json.loads((output / "report" / "results.json").read_text())
    lines = [
        "",
        markdown_table(results["systems"]),
        f"Report and plots   {report}, {report.parent}/*.png",
        f"Run folders        {output}/{{{','.join(SYSTEMS)}}}",
        f"Exported student   {output}/export (SpeechBrain's SpeakerRecognition"
        " loads it)",
        f"This took {seconds / 60:.1f} minutes.",
    ]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
