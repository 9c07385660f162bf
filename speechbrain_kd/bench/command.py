"""The command: which measurements, and where their results go."""

import argparse
import importlib
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from speechbrain_kd.atomic import atomic_path
from speechbrain_kd.bench.common import Options
from speechbrain_kd.evaluation.report import describe_machine
from speechbrain_kd.speed.allocator import keep_freed_memory

logger = logging.getLogger(__name__)

#: Section: (module with ``measure(options) -> facts`` and ``report(facts)``,
#: what it measures, whether it runs without being named).
SECTIONS = {
    "students": ("students", "size, operations and time of each student", True),
    "budgets": ("budgets", "what each student takes of a device", True),
    "parity": ("parity", "exported students against PyTorch", False),
    "audio": ("audio", "crops from wav, flac, packed and tar", True),
    "features": ("features", "SpeechBrain's features against ours", True),
    "store": ("store", "reading, writing and size of stored views", True),
    "training": ("training", "train_kd.py, tensors in memory, upstream", True),
    "teachers": ("distilling", "no teacher, stored views, online", True),
    "metrics": ("metrics", "error rates and intervals of many scores", False),
    "norms": ("norms", "adaptive s-norm, against the recipe's loop", True),
    "evaluation": ("evaluation", "the page: teacher, baseline, student", True),
    "extraction": ("extraction", "embeddings of a list as large as E", False),
    "views": ("views", "error rate by the number of views", False),
    "ranks": ("ranks", "steps and validation of 1, 2 and 4 ranks", False),
    "million": ("million", "preparation and memory of many files", False),
    "scaling": ("scaling", "a model of cost, checked at a tenth", False),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures and writes ``<section>.json`` and ``<section>.md`` each.

    Arguments
    ---------
    arguments : Sequence[str] | None
        By default the command line's.
    """
    options = _parse(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    keep_freed_memory()
    sections = (
        options.sections.split(",")
        if options.sections
        else [name for name, (_, _, always) in SECTIONS.items() if always]
    )
    unknown = set(sections) - set(SECTIONS)
    if unknown:
        sys.exit(
            f"bench: error: no section {', '.join(sorted(unknown))}; there "
            f"are {', '.join(SECTIONS)}"
        )
    given = Options(
        data_folder=options.data_folder,
        work=options.output / "work",
        device=options.device,
        epochs=options.epochs,
        batch_size=options.batch_size,
        students=options.students,
        student=options.student,
        teachers=tuple(filter(None, options.teachers.split(","))),
        rounds=options.rounds,
        files=options.files,
        views=_numbers(options.views),
        seeds=_numbers(options.seeds),
        overrides=tuple(options.overrides),
    )
    for section in sections:
        _run(section, given, options.output)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    listing = "\n".join(
        f"  {name:10}{what}{'' if always else ' (only where it is named)'}"
        for name, (_, what, always) in SECTIONS.items()
    )
    parser = argparse.ArgumentParser(
        prog="speechbrain-kd bench",
        epilog=f"sections:\n{listing}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--output", type=Path, default=Path("results/bench"))
    parser.add_argument("--sections", default="", help="some, by commas")
    parser.add_argument("--data_folder", default=Options.data_folder)
    parser.add_argument(
        "--device", default="cuda" if torch.cuda.is_available() else "cpu"
    )
    parser.add_argument("--epochs", type=int, default=Options.epochs)
    parser.add_argument("--batch_size", type=int, default=Options.batch_size)
    parser.add_argument("--students", type=Path, default=Options.students)
    parser.add_argument("--student", default=Options.student)
    parser.add_argument(
        "--teachers", default="", help="fragments of teachers, by commas"
    )
    parser.add_argument("--rounds", type=int, default=Options.rounds)
    parser.add_argument("--files", type=int, default=Options.files)
    parser.add_argument("--views", default=_listed(Options.views))
    parser.add_argument("--seeds", default=_listed(Options.seeds))
    parser.add_argument(
        "overrides", nargs="*", help="of the runs of section views, after --"
    )
    return parser.parse_args(arguments)


def _listed(numbers: Sequence[int]) -> str:
    return ",".join(map(str, numbers))


def _numbers(listed: str) -> tuple[int, ...]:
    return tuple(map(int, listed.split(",")))


def _run(section: str, options: Options, output: Path) -> None:
    """One section, measured, written and shown."""
    name = SECTIONS[section][0]
    module = importlib.import_module(f"speechbrain_kd.bench.{name}")
    facts = {"machine": describe_machine(), "device": device_name(options)}
    try:
        facts |= module.measure(options)
    except ValueError as error:
        sys.exit(f"bench: error: {section}: {error}")
    text = module.report(facts)
    for suffix, content in (
        ("json", json.dumps(facts, indent=2) + "\n"),
        ("md", text),
    ):
        with atomic_path(output / f"{section}.{suffix}") as part:
            part.write_text(content, encoding="utf-8")
    sys.stdout.write(f"\n## {section}\n\n{text}\n{facts['machine']}\n")
    sys.stdout.flush()


def device_name(options: Options) -> str:
    """What computes, in words."""
    if options.device == "cpu":
        return f"CPU, {torch.get_num_threads()} threads"
    return torch.cuda.get_device_name()
