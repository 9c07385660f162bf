"""``python -m speechbrain_kd.study PLAN``: what there is to do, and doing it.

    python -m speechbrain_kd.study hparams/study/realvox.yaml \
        --data_folder=realvox --campplus=campplus.onnx --jobs=2
    python -m speechbrain_kd.study hparams/study/realvox.yaml \
        --data_folder=realvox --cell cosine --student c32 --seed 1986
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from speechbrain_kd.errors import EXPECTED
from speechbrain_kd.study.plan import Plan
from speechbrain_kd.study.plan_file import read_plan

logger = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a study, or one cell of it.

    Arguments
    ---------
    arguments : Sequence[str] | None
        By default the command line's. What is wrong with them ends the
        process with status 1 and one message; so does a failed cell, when
        the others are done.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("fontTools").setLevel(logging.WARNING)
    try:
        options, plan = _parse(arguments)
        # Imported here, so that --help and a slip of the pen cost nothing.
        from speechbrain_kd.study import steps
        from speechbrain_kd.study.jobs import Study

        output = options.output or Path("results/study") / plan.name
        study = Study(plan, output, tuple(options.overrides), options.device)
        if options.dry_run:
            sys.stdout.write(steps.listing(study, options.only))
            return
        if options.cell is not None:
            steps.run_one(
                study,
                options.cell,
                options.student,
                options.seed,
                options.tried,
            )
            return
        failures = []
        if not options.tables:
            failures = steps.run_study(
                study, options.only, options.jobs, _again(options, output)
            )
        text = steps.publish(study, options.write)
    except EXPECTED as error:
        logger.debug("Refused", exc_info=True)
        sys.exit(f"study: error: {error}")
    except KeyboardInterrupt:
        logger.warning("Stopped. The same command goes on from here.")
        sys.exit(130)
    sys.stdout.write(f"{text}\nThe whole of it: {output}/index.md\n")
    if failures:
        sys.exit("study: failed: " + ", ".join(failures))


def _parse(
    arguments: Sequence[str] | None,
) -> tuple[argparse.Namespace, Plan]:
    """Options and plan; each place of the plan is an option."""
    parser = argparse.ArgumentParser(
        prog="python -m speechbrain_kd.study",
        description="Terms, students and seeds in one table, from a plan.",
        epilog="Each name under `places` of the plan is an option too. After "
        "-- come options for every training, such as --number_of_epochs=1.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("plan", type=Path, help="such as hparams/study/minivox.yaml")
    add("--output", type=Path, help="default: results/study/<plan>")
    add("--only", default="*", help="cells by name, as files: 'cos*'")
    add("--jobs", type=int, default=1, help="cells at once")
    add("--dry-run", action="store_true", help="list commands and cost")
    add("--tables", action="store_true", help="of what is done; run nothing")
    add("--write", type=Path, help="a page with marks for the tables")
    add("--cell", help="run this one here, and say its command")
    add("--student", help="of --cell; default: the plan's first")
    add("--seed", type=int, help="of --cell; default: the plan's first")
    add("--try", dest="tried", help="a value that --cell searches")
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    given = sys.argv[1:] if arguments is None else list(arguments)
    at = given.index("--") if "--" in given else len(given)
    given, overrides = given[:at], given[at + 1 :]
    if not given or given[0].startswith("-"):
        parser.parse_args(given)
        raise ValueError("the plan comes first: PLAN.yaml [OPTIONS]")
    plan = read_plan(given[0])
    for name in plan.places:
        add(f"--{name}", metavar="PATH")
    options = parser.parse_args(given)
    if options.jobs < 1:
        raise ValueError(f"--jobs is at least 1; got {options.jobs}")
    options.overrides = overrides
    options.places = {
        name: place
        for name in plan.places
        if (place := getattr(options, name)) is not None
    }
    return options, plan.with_places(options.places)


def _again(options: argparse.Namespace, output: Path) -> list[str]:
    """What another process is given, to run a part of the same study."""
    return [
        str(options.plan),
        f"--output={output}",
        f"--device={options.device}",
        *(f"--{name}={place}" for name, place in options.places.items()),
        "--",
        *options.overrides,
    ]
