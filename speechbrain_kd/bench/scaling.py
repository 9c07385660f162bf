"""A model of what VoxCeleb2 costs, and a hundred times that, and its check.

Unit costs are measured on a small synthetic corpus with utterances of
VoxCeleb2's mean length, and foretell a corpus a tenth of VoxCeleb2's size,
on which the same is then measured.
"""

import resource
import shutil
import time
from dataclasses import replace
from pathlib import Path

from speechbrain_kd.bench.common import Options, table
from speechbrain_kd.bench.distilling import teacher_fragment
from speechbrain_kd.bench.runs import arguments, run, train_run
from speechbrain_kd.bench.tree import make_tree
from speechbrain_kd.data.packed.writer import pack_corpus
from speechbrain_kd.data.prepare import prepare_corpus
from speechbrain_kd.speed.timing import read_epochs

UTTERANCES, HOURS = 1_092_009, 2_300
"""VoxCeleb2 dev: about 2,300 hours of 5,994 speakers."""

_SECONDS = 3600 * HOURS / UTTERANCES
_VIEWS, _EPOCHS = 8, 40
_SMALL = 25  # the small corpus is so many times smaller


def measure(options: Options) -> dict:
    """The chain on a small corpus and on one of ``options.files``.

    Arguments
    ---------
    options : Options
        ``files`` (109,200 is a tenth of VoxCeleb2), student, teacher, device.

    Returns
    -------
    dict
        ``small`` and ``large``: utterances, seconds and bytes of each step.
    """
    options = replace(options, epochs=1)
    sizes = {"small": options.files // _SMALL, "large": options.files}
    return {
        "student": options.student,
        "teacher": (options.teachers or ("random-ecapa-c512",))[0],
        "batch_size": options.batch_size,
        **{
            name: _chain(replace(options, work=options.work / name), files)
            for name, files in sizes.items()
        },
    }


def _chain(options: Options, files: int) -> dict:
    """Every step of a distillation on a corpus of so many files."""
    shutil.rmtree(options.work, ignore_errors=True)
    tree, pack = options.work / "tree", options.work / "pack"
    make_tree(tree, files, _SECONDS)
    seconds = {}
    began = time.perf_counter()
    prepare_corpus(tree, options.work / "prepared", progressbar=False)
    seconds["preparing"] = time.perf_counter() - began
    began = time.perf_counter()
    pack_corpus(tree, pack, progressbar=False)
    seconds["packing"] = time.perf_counter() - began
    options = replace(options, data_folder=str(pack))
    seconds |= _train(options)
    facts = {
        "files": files,
        "seconds": seconds,
        "bytes": {
            "packed corpus": _bytes(pack),
            "stored view": _bytes(options.work / "store"),
            "manifests": _bytes(options.work / "prepared"),
        },
        "peak_rss": 1024
        * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss,
    }
    shutil.rmtree(options.work)
    return facts


def _train(options: Options) -> dict[str, float]:
    """Seconds of one stored view of all, and of one epoch with it."""
    name = (options.teachers or ("random-ecapa-c512",))[0]
    fragments = options.students.parent / "distillation"
    given = [
        f"--teacher={teacher_fragment(options, name)}",
        f"--distillation={fragments / 'embedding.yaml'}",
        "--evaluate_teacher=False",
        "--teacher_views=1",
        "--num_workers=auto",
        # VoxCeleb2 needs no tenth of its utterances to choose an epoch.
        "--split_ratio=[98, 2]",
    ]
    folder = options.work / "runs" / "store"
    run(
        "speechbrain_kd.stored",
        *arguments(options, folder, "student"),
        *given,
    )
    stored = read_epochs(folder / "timing.jsonl")[-1]
    trained = train_run(options, "train", "student", *given)
    (epoch,) = read_epochs(trained / "timing.jsonl")
    return {
        "a view of all, by the teacher": stored["store_s"],
        "an epoch of the student": epoch["train_s"],
        "a validation": epoch["valid_s"],
    }


def _bytes(folder: Path) -> int:
    """Bytes on disk below a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return sum(512 * path.stat().st_blocks for path in files)


def report(facts: dict) -> str:
    """Markdown: unit costs, their check, and the two large corpora."""
    small, large = facts["small"], facts["large"]
    scale = large["files"] / small["files"]
    rows = []
    for step, seconds in small["seconds"].items():
        unit = seconds / small["files"]
        measured = large["seconds"][step]
        rows.append(
            (
                f"{step}, s",
                f"{1e6 * unit:,.1f} µs",
                scale * seconds,
                measured,
                measured / (scale * seconds),
                measured / large["files"] * UTTERANCES,
                measured / large["files"] * 100 * UTTERANCES,
            )
        )
    for what, size in small["bytes"].items():
        measured = large["bytes"][what]
        rows.append(
            (
                f"{what}, GB",
                f"{size / small['files']:,.0f} B",
                scale * size / 1e9,
                measured / 1e9,
                measured / (scale * size),
                measured / large["files"] * UTTERANCES / 1e9,
                measured / large["files"] * 100 * UTTERANCES / 1e9,
            )
        )
    header = (
        f"{facts['student']}, teacher {Path(facts['teacher']).stem}",
        f"an utterance, of {small['files']:,}",
        f"foretold for {large['files']:,}",
        "measured",
        "ratio",
        "VoxCeleb2",
        "100 × VoxCeleb2",
    )
    return table(header, rows) + "\n" + _whole(facts)


def _whole(facts: dict) -> str:
    """A sentence about a whole distillation."""
    large = facts["large"]
    seconds = large["seconds"]
    views = _VIEWS * seconds["a view of all, by the teacher"]
    epochs = _EPOCHS * seconds["an epoch of the student"]
    hours = [
        part / large["files"] * UTTERANCES / 3600 for part in (views, epochs)
    ]
    memory = [facts[name]["peak_rss"] / 1e9 for name in ("small", "large")]
    return (
        f"{_VIEWS} stored views and {_EPOCHS} epochs on VoxCeleb2 are "
        f"{hours[0]:.1f} h of the teacher, once, and {hours[1]:.1f} h of the "
        "student, on this machine. Peak resident memory of a process, with "
        "the pages of the mapped corpus that it touched: "
        f"{memory[0]:.2f} GB on the small corpus, {memory[1]:.2f} GB on the "
        "large one.\n"
    )
