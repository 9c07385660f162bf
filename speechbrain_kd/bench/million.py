"""Preparation and loading over a million files: time and memory.

Makes a tree in VoxCeleb's layout of short wavs, prepares it, and goes through
it with loaders over our table and over SpeechBrain's dict of dicts, each step
in a process of its own. The files of a speaker are hard links to one: a
million names, but few inodes, and what they say is in the page cache; a real
corpus on a cold disk takes as much longer as its disk does. Linux only.
"""

import argparse
import json
import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from speechbrain.dataio.dataset import DynamicItemDataset
from torch.utils.data import DataLoader

from speechbrain_kd.bench.common import Options, table
from speechbrain_kd.bench.memory import memory_mb, tree_memory_mb
from speechbrain_kd.bench.tree import make_tree
from speechbrain_kd.data.prepare import prepare_corpus
from speechbrain_kd.data.table import ManifestTable, TableDataset

logger = logging.getLogger(__name__)

_BATCH = 256
_KINDS = {"table": "our table", "dicts": "SpeechBrain's dicts"}
_KEYS = ["id", "wav", "stop", "spk_id"]


def run_step(step: str, folder: Path, *options: str) -> dict:
    """Runs a step in a process of its own.

    Returns
    -------
    dict
        What it said, its seconds, and the largest memory in MB of it and all
        its processes together (``pss``) and of one (``rss``).
    """
    module = "speechbrain_kd.bench.million"
    command = [sys.executable, "-m", module, "--folder", str(folder)]
    start = time.perf_counter()
    most = {"pss": 0.0, "rss": 0.0}
    with subprocess.Popen(
        [*command, "--step", step, *options], stdout=subprocess.PIPE, text=True
    ) as process:
        while process.poll() is None:
            found = tree_memory_mb(process.pid)
            for key, join in (("pss", sum), ("rss", max)):
                now = join([0.0, *(x[key] for x in found)])
                most[key] = round(max(most[key], now), 1)
            time.sleep(0.2)
        said = process.stdout.read()
    if process.returncode:
        raise RuntimeError(f"step {step} ended with {process.returncode}")
    wall_s = round(time.perf_counter() - start, 2)
    return {**json.loads(said), "wall_s": wall_s, "peak_mb": most}


def prepare(folder: Path) -> dict:
    """Prepares the corpus."""
    before = memory_mb()
    start = time.perf_counter()
    corpus = prepare_corpus(folder / "tree", folder / "save", progressbar=False)
    seconds = round(time.perf_counter() - start, 2)
    speakers = len(corpus.speakers)
    return {"seconds": seconds, "speakers": speakers, "before_mb": before}


def load(folder: Path, kind: str, workers: int) -> dict:
    """Goes once through the training manifest in random order."""
    csv_path, root = str(folder / "save" / "train.csv"), str(folder / "tree")
    before = memory_mb()
    start = time.perf_counter()
    if kind == "table":
        data = TableDataset(ManifestTable.from_csv(csv_path, root), _KEYS)
    else:
        data = DynamicItemDataset.from_csv(
            csv_path, {"data_root": root}, output_keys=_KEYS
        )
    result = {
        "utterances": len(data),
        "read_s": round(time.perf_counter() - start, 2),
        "before_mb": before,
        "read_mb": memory_mb(),
    }
    loader = DataLoader(
        data, _BATCH, shuffle=True, num_workers=workers, collate_fn=list
    )
    last = len(loader) - 1
    moments = {"start": 0, "middle": last // 2, "end": last}
    start = time.perf_counter()
    for number, _ in enumerate(loader):
        for moment in (x for x in moments if moments[x] == number):
            result[moment] = tree_memory_mb(os.getpid())
    seconds = time.perf_counter() - start
    return {**result, "items_per_s": round(len(data) / seconds)}


def measure_tree(folder: Path, files: int) -> dict:
    """Makes the tree and runs all steps over it.

    Arguments
    ---------
    folder : Path
        Of the tree and the manifests.
    files : int
        How many files.

    Returns
    -------
    dict
        What each step said and took.
    """
    start = time.perf_counter()
    speakers = make_tree(folder / "tree", files)
    seconds = round(time.perf_counter() - start, 2)
    result = {
        "files": files,
        "tree": {"speakers": speakers, "seconds": seconds, "links": "hard"},
        "prepare": run_step("prepare", folder),
        "prepare_again": run_step("prepare", folder),
    }
    sizes = {x.name: x.stat().st_size for x in (folder / "save").iterdir()}
    result["bytes"] = sizes
    for kind in _KINDS:
        for workers in (0, 2):
            name = f"{kind}_{workers}_workers"
            result[name] = run_step(kind, folder, "--workers", str(workers))
            logger.info("%s: %s", name, result[name])
    return result


def measure(options: Options) -> dict:
    """Makes a tree in ``work``, measures, and removes it.

    Arguments
    ---------
    options : Options
        ``files`` is how many.

    Returns
    -------
    dict
        As ``measure_tree`` gives it.
    """
    folder = (options.work / "million").absolute()
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise ValueError(
            f"{folder} is there already, perhaps of a run that was stopped: "
            "remove it, or give another --output"
        ) from None
    try:
        return measure_tree(folder, options.files)
    finally:
        shutil.rmtree(folder)


def report(facts: dict) -> str:
    """Preparation, then going through the manifest."""
    prepared = [
        (name, facts[key]["seconds"], facts[key]["peak_mb"]["pss"])
        for name, key in (
            ("first time", "prepare"),
            ("nothing changed", "prepare_again"),
        )
    ]
    loaded = []
    for kind, name in _KINDS.items():
        for workers in (0, 2):
            found = facts[f"{kind}_{workers}_workers"]
            row = [name, workers, found["read_s"], found["items_per_s"]]
            begun, ended = (
                sum(process["private"] for process in found[moment])
                for moment in ("start", "end")
            )
            loaded.append([*row, begun, ended, ended - begun])
    header = ["manifest", "workers", "s to read", "utterances a second"]
    header += ["MB at the start", "MB at the end", "grown by"]
    return (
        table(("preparation", "seconds", "MB at most"), prepared)
        + "\n"
        + table(header, loaded)
        + f"\n{facts['files']:,} files of {facts['tree']['speakers']:,} "
        "speakers, their names in the page cache. MB are the pages that "
        "processes have for themselves, of all together; those of preparation "
        "include what they share.\n"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one step, and prints one JSON.

    Arguments
    ---------
    arguments : Sequence[str] | None
        By default the command line's.
    """
    parser = argparse.ArgumentParser(description="One step, on its own.")
    parser.add_argument("--folder", type=Path, required=True)
    steps = ("prepare", *_KINDS)
    parser.add_argument("--step", choices=steps, required=True)
    parser.add_argument("--workers", type=int, default=0, help="of a loader")
    options = parser.parse_args(arguments)
    folder = options.folder.absolute()
    if options.step == "prepare":
        result = prepare(folder)
    else:
        result = load(folder, options.step, options.workers)
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
