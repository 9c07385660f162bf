"""Training without a teacher: ours, tensors in memory, SpeechBrain's recipe."""

import csv
import json
import logging
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from speechbrain_kd.bench.common import Options, table
from speechbrain_kd.bench.corpus import corpus_of
from speechbrain_kd.bench.distilling import with_teacher
from speechbrain_kd.bench.runs import GpuWatch, recipes, run, speed, train_run
from speechbrain_kd.data.packed.writer import pack_corpus
from speechbrain_kd.data.prepare import Corpus
from speechbrain_kd.speed.timing import read_epochs

logger = logging.getLogger(__name__)

_CROP_S = 2.0
_VIEWS = 2
_TEACHER = "random-ecapa-c512"


def measure(options: Options) -> dict:
    """Utterances a second of each, in one go.

    Arguments
    ---------
    options : Options
        Corpus, student, epochs, batch and device.

    Returns
    -------
    dict
        ``systems``: speed by name. Those of SpeechBrain's own recipe are
        missing where $SPEECHBRAIN_RECIPES is not set.
    """
    corpus = corpus_of(options)
    pack = options.work / "pack"
    pack_corpus(corpus.data_folders, pack, progressbar=False)
    if recipes() is None:
        logger.warning("SPEECHBRAIN_RECIPES is not set: no upstream recipe")
    systems: dict[str, dict] = {}
    # A machine's speed drifts: each has several turns, and the best counts.
    for _ in range(options.rounds):
        for name, measured in _systems(options, corpus, pack):
            logger.info("%s: %.0f utterances/s", name, _rate(measured))
            best = systems.get(name, measured)
            systems[name] = max(best, measured, key=_rate)
    return {
        "student": options.student,
        "batch_size": options.batch_size,
        "systems": systems,
    }


def _systems(
    options: Options, corpus: Corpus, pack: Path
) -> Iterator[tuple[str, dict]]:
    """Each system's name and speed, one after the other."""
    on_gpu = options.device != "cpu"
    for precision in _precisions(options):
        name = f"tensors in memory, {precision}"
        yield name, _in_memory(options, precision)
        for kind, folders in (("files", corpus.data_folders), ("packed", pack)):
            name = f"train_kd.py, {kind}, {precision}"
            yield name, _ours(options, precision, folders)
        if on_gpu or options.teachers:
            name = f"train_kd.py, packed, stored views, {precision}"
            yield name, _ours(options, precision, pack, taught=True)
    if recipes() is not None:
        for workers in (4,) if on_gpu else (4, 0):
            name = f"SpeechBrain's recipe, {workers} workers, fp32"
            yield name, _upstream(options, corpus, workers)


def _rate(measured: dict) -> float:
    """Utterances a second."""
    return measured["utterances_per_s"]


def _precisions(options: Options) -> tuple[str, ...]:
    """bf16 only where it is fast."""
    return ("fp32",) if options.device == "cpu" else ("fp32", "bf16")


def _in_memory(options: Options, precision: str) -> dict:
    """The bound: nothing is read."""
    fragment = options.students / f"{options.student}.yaml"
    module = "speechbrain_kd.bench.memory_loop"
    given = (str(fragment), str(options.batch_size), options.device, precision)
    return json.loads(run(module, *given).splitlines()[-1])


def _ours(
    options: Options, precision: str, folders, taught: bool = False
) -> dict:
    """A run of train_kd.py."""
    folders = folders if isinstance(folders, list) else [folders]
    options = replace(options, data_folder=",".join(map(str, folders)))
    given = [f"--precision={precision}"]
    if taught:
        teacher = (options.teachers or (_TEACHER,))[0]
        given += with_teacher(options, teacher, _VIEWS)
        given.append("--store_ahead=True")
    yaml = "student" if taught else "baseline"
    with GpuWatch(options.device) as watch:
        folder = train_run(options, "training", yaml, *given)
    epochs = read_epochs(folder / "timing.jsonl")
    return speed(folder) | {"gpu_busy": watch.busy_share(epochs[1:])}


def _upstream(options: Options, corpus: Corpus, workers: int) -> dict:
    """A run of SpeechBrain's recipe, unchanged."""
    work = options.work / "upstream"
    work.mkdir(parents=True, exist_ok=True)
    output = work / "run"
    shutil.rmtree(output, ignore_errors=True)
    notes = work / "timing.jsonl"
    notes.unlink(missing_ok=True)
    (work / "trials.txt").write_text("", encoding="utf-8")
    kept = _long_enough(corpus.train_csv, work / "train.csv")
    _long_enough(corpus.valid_csv, work / "valid.csv")
    fragment = (options.students / f"{options.student}.yaml").resolve()
    yaml = work / "upstream.yaml"
    own = Path(__file__).with_name("upstream.yaml").read_text("utf-8")
    yaml.write_text(
        own.replace(
            "embedding_model: !PLACEHOLDER",
            f"embedding_model: !include:{fragment}",
        ),
        encoding="utf-8",
    )
    with GpuWatch(options.device) as watch:
        run(
            "speechbrain_kd.bench.timed_recipe",
            str(notes),
            str(recipes()),
            str(yaml),
            f"--output_folder={output}",
            f"--data_folder={corpus.data_root}",
            f"--train_annotation={work / 'train.csv'}",
            f"--valid_annotation={work / 'valid.csv'}",
            f"--verification_file={(work / 'trials.txt').resolve()}",
            f"--number_of_epochs={options.epochs}",
            f"--batch_size={options.batch_size}",
            f"--num_workers={workers}",
            f"--out_n_neurons={len(corpus.speakers)}",
            f"--device={options.device}",
            "--noprogressbar",
        )
    busy = watch.busy_share(read_epochs(notes)[1:])
    return speed(work) | {"gpu_busy": busy, "utterances": kept}


def _long_enough(source: Path, target: Path) -> int:
    """The rows that are as long as a crop: upstream breaks on others."""
    with (
        open(source, newline="", encoding="utf-8") as rows,
        open(target, "w", newline="", encoding="utf-8") as out,
    ):
        reader = csv.DictReader(rows)
        writer = csv.DictWriter(out, reader.fieldnames, lineterminator="\n")
        writer.writeheader()
        kept = [r for r in reader if float(r["duration"]) >= _CROP_S + 0.01]
        writer.writerows(kept)
    return len(kept)


def report(facts: dict) -> str:
    """Markdown: speed, and the ratio to tensors in memory."""
    systems = facts["systems"]
    rows = []
    for name, system in systems.items():
        bound = systems[f"tensors in memory, {name.split(', ')[-1]}"]
        rate = system["utterances_per_s"]
        busy = system.get("gpu_busy")
        waited = system.get("wait_share")
        rows.append(
            (
                name,
                rate,
                rate / bound["utterances_per_s"],
                None if waited is None else f"{100 * waited:.0f} %",
                None if busy is None else f"{100 * busy:.0f} %",
            )
        )
    header = (
        f"{facts['student']}, batch {facts['batch_size']}, 2 s",
        "utterances/s",
        "of tensors in memory",
        "waiting for audio",
        "GPU busy",
    )
    return table(header, rows)
