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
from pathlib import Path

import numpy as np
import soundfile
from speechbrain.dataio.dataset import DynamicItemDataset
from torch.utils.data import DataLoader

from speechbrain_kd.data.prepare import prepare_corpus
from speechbrain_kd.data.table import ManifestTable, TableDataset

logger = logging.getLogger(__name__)

_RECORDINGS, _FILES_EACH = 10, 17
_BATCH = 256
_KEYS = ["id", "wav", "stop", "spk_id"]


def make_tree(folder: Path, files: int) -> int:
    """Makes a corpus of tenths of seconds of noise.

    Arguments
    ---------
    folder : Path
        Where ``wav/<speaker>/<recording>/<number>.wav`` go.
    files : int
        How many files.

    Returns
    -------
    int
        How many speakers: one for every 170 files.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> make_tree(folder, 200), len(list(folder.rglob("*.wav")))
    (2, 200)
    """
    noise = 0.1 * np.random.default_rng(1).standard_normal(1600)
    each = _RECORDINGS * _FILES_EACH
    for number in range(files):
        speaker, place = divmod(number, each)
        recording, utterance = divmod(place, _FILES_EACH)
        parent = folder / "wav" / f"id{speaker:05d}" / f"recording{recording}"
        path = parent / f"{utterance + 1:05d}.wav"
        if utterance == 0:
            parent.mkdir(parents=True)
        if place == 0:
            # One for each speaker: a file has at most 65,000 links.
            soundfile.write(path, noise, 16000, subtype="PCM_16")
            first = path
        else:
            os.link(first, path)
    return (files + each - 1) // each


def memory_mb(pid: int | str = "self") -> dict[str, float]:
    """Memory of a process in MB.

    Arguments
    ---------
    pid : int | str
        The process.

    Returns
    -------
    dict[str, float]
        ``rss``: all its pages; ``pss``: its share of them, so that those of
        several processes add up; ``private``: its own alone.
    """
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    lines = [line.split() for line in text.splitlines()[1:]]
    kb = {line[0].rstrip(":"): int(line[1]) for line in lines}
    private = kb["Private_Clean"] + kb["Private_Dirty"]
    values = {"rss": kb["Rss"], "pss": kb["Pss"], "private": private}
    return {key: round(value / 1024, 1) for key, value in values.items()}


def tree_memory_mb(pid: int) -> list[dict[str, float]]:
    """Memory of a process and of all that it started and that live."""
    try:
        found = [memory_mb(pid)]
        tasks = list(Path(f"/proc/{pid}/task").glob("*/children"))
        children = " ".join(task.read_text() for task in tasks).split()
    except (OSError, KeyError, IndexError):
        # It ended meanwhile.
        return []
    return found + [x for child in children for x in tree_memory_mb(child)]


def run_step(step: str, folder: Path, *options: str) -> dict:
    """Runs a step in a process of its own.

    Returns
    -------
    dict
        What it said, its seconds, and the largest memory in MB of it and all
        its processes together (``pss``) and of one (``rss``).
    """
    module = "speechbrain_kd.million"
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


def measure(folder: Path, files: int) -> dict:
    """Makes the tree and runs all steps over it."""
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
    for kind in ("table", "dicts"):
        for workers in (0, 2):
            name = f"{kind}_{workers}_workers"
            result[name] = run_step(kind, folder, "--workers", str(workers))
            logger.info("%s: %s", name, result[name])
    return result


def main(arguments: list[str] | None = None) -> None:
    """Measures, and prints one JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, required=True, help="is made")
    parser.add_argument("--keep", action="store_true", help="keep the tree")
    steps = ("prepare", "table", "dicts")
    parser.add_argument("--step", choices=steps, help="one step, on its own")
    parser.add_argument("--workers", type=int, default=0, help="of a loader")
    options = parser.parse_args(arguments)
    folder = options.folder.absolute()
    if options.step == "prepare":
        result = prepare(folder)
    elif options.step:
        result = load(folder, options.step, options.workers)
    else:
        logging.basicConfig(level=logging.INFO, stream=sys.stderr)
        folder.mkdir(parents=True)
        try:
            result = measure(folder, options.files)
        finally:
            if not options.keep:
                shutil.rmtree(folder)
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
