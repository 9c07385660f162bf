"""Embedding as many utterances as VoxCeleb1-E has: memory, and going on.

Makes short utterances of noise, each another, and embeds them through the
cache with a model that costs nearly nothing, so that what is measured is the
way of the audio and of the embeddings. The first process is killed in the
middle, a second goes on to the end, a third finds everything there. Linux
only.
"""

import argparse
import json
import logging
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
import torch

from speechbrain_kd.bench.common import Options, table
from speechbrain_kd.bench.memory import memory_mb

logger = logging.getLogger(__name__)

DIM = 192
_LENGTHS = (2400, 3200, 4000)  # samples
_FOLDER_FILES = 1000
_EVERY_S = 1.0


class Levels(torch.nn.Module):
    """As many numbers of a waveform as an embedding has, at little cost."""

    def forward(self, wavs: torch.Tensor) -> torch.Tensor:
        """Waveforms [batch, samples] to [batch, 192]."""
        step = wavs.shape[1] // DIM
        return wavs[:, : step * DIM].reshape(len(wavs), DIM, step).std(dim=2)


def make_files(folder: Path, number: int) -> list[Path]:
    """Writes utterances of noise, each another.

    Arguments
    ---------
    folder : Path
        Where; in folders of a thousand.
    number : int
        How many.

    Returns
    -------
    list[Path]
        The files.
    """
    rng = np.random.default_rng(0)
    noise = (rng.standard_normal(200_000) * 3000).astype(np.int16)
    paths = []
    for at in range(number):
        path = folder / f"{at // _FOLDER_FILES:04d}" / f"{at:07d}.wav"
        if at % _FOLDER_FILES == 0:
            path.parent.mkdir(parents=True)
        samples = _LENGTHS[at % len(_LENGTHS)]
        start = int(rng.integers(len(noise) - samples))
        wav = noise[start : start + samples].copy()
        wav[:2] = divmod(at, 32768)  # no two alike
        soundfile.write(path, wav, 16000, subtype="PCM_16")
        paths.append(path)
    return paths


def extract(folder: Path) -> None:
    """Embeds the files of a folder; says its memory every second.

    Arguments
    ---------
    folder : Path
        As ``measure`` makes it; the cache comes to lie in it.
    """
    from speechbrain_kd.evaluation.audio_digests import AudioDigests
    from speechbrain_kd.evaluation.embedding_cache import EmbeddingCache
    from speechbrain_kd.evaluation.filling import fill_cache

    paths = sorted((folder / "wav").glob("*/*.wav"))
    model = Levels().eval()
    cache = EmbeddingCache(folder / "cache", "levels", "bench", DIM)
    start = time.perf_counter()
    told = asked = 0

    def embed(wavs: torch.Tensor) -> torch.Tensor:
        nonlocal told, asked
        now = time.perf_counter() - start
        if now - told > _EVERY_S or not asked:
            told = now
            _say(seconds=now, asked=asked, **memory_mb())
        asked += len(wavs)
        return model(wavs)

    digests = AudioDigests(folder / "cache" / "audio.npy").of(paths, False)
    _say(hashed_s=time.perf_counter() - start, **memory_mb())
    fill_cache(cache, embed, paths, digests, progressbar=False)
    held = int(cache.holds(digests).sum())
    seconds = time.perf_counter() - start
    _say(end=True, held=held, asked=asked, seconds=seconds, **memory_mb())


def _say(**facts: object) -> None:
    """A line of JSON for whoever started this process."""
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def run(folder: Path, kill_after: int | None = None) -> list[dict]:
    """Extracts in a process of its own.

    Arguments
    ---------
    folder : Path
        As of ``extract``.
    kill_after : int | None
        Utterances after which the process is killed.

    Returns
    -------
    list[dict]
        What it said.
    """
    command = [sys.executable, "-m", "speechbrain_kd.bench.extraction"]
    said = []
    with subprocess.Popen(
        [*command, str(folder)], stdout=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout:
            said.append(json.loads(line))
            if kill_after is not None and said[-1].get("asked", 0) > kill_after:
                process.kill()
                return said
    if process.returncode:
        raise ValueError(f"the extraction ended with {process.returncode}")
    return said


def measure(options: Options) -> dict:
    """Extracts, is killed, goes on, and finds everything there.

    Arguments
    ---------
    options : Options
        ``files`` is how many, of which at most 145,000 are made: VoxCeleb1-E
        has as many.

    Returns
    -------
    dict
        Seconds and memory of each process.
    """
    folder = (options.work / "extraction").absolute()
    if folder.exists():
        raise ValueError(
            f"{folder} is there already, perhaps of a run that was stopped: "
            "remove it, or give another --output"
        )
    files = min(options.files, 145_000)
    try:
        start = time.perf_counter()
        make_files(folder / "wav", files)
        made_s = time.perf_counter() - start
        killed = run(folder, kill_after=files // 2)
        went_on, again = run(folder), run(folder)
        size = sum(f.stat().st_size for f in (folder / "cache").glob("*/*"))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {
        "files": files,
        "made_s": round(made_s, 1),
        "cache_mb": round(size / 2**20, 1),
        "killed": killed,
        "went_on": went_on,
        "again": again,
    }


def report(facts: dict) -> str:
    """A row for each process.

    Arguments
    ---------
    facts : dict
        As of ``measure``.
    """
    rows = []
    names = {
        "killed": "killed in the middle",
        "went_on": "the same command again",
        "again": "once more",
    }
    for key, name in names.items():
        said = facts[key]
        hashed = next(one for one in said if "hashed_s" in one)
        steps = [one for one in said if "asked" in one and "end" not in one]
        middle = steps[len(steps) // 2]["rss"] if steps else None
        last = said[-1]
        rows.append(
            (
                name,
                last.get("asked", 0),
                hashed["hashed_s"],
                last.get("seconds", 0.0),
                hashed["rss"],
                middle,
                max(one["rss"] for one in said),
            )
        )
    header = ("process", "embedded", "s to read digests", "s in all")
    header += ("MB before", "MB midway", "MB at most")
    held = facts["went_on"][-1]["held"]
    return (
        table(header, rows)
        + f"\n{facts['files']:,} utterances of 0.15 to 0.25 s; {held:,} whole "
        f"records of {DIM} float32 at the end, {facts['cache_mb']} MB on disk. "
        "Of the killed process the last line that it wrote.\n"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Extracts once; for ``run``.

    Arguments
    ---------
    arguments : Sequence[str] | None
        The folder; by default the command line's.
    """
    parser = argparse.ArgumentParser(description="One extraction.")
    parser.add_argument("folder", type=Path)
    torch.set_num_threads(1)
    extract(parser.parse_args(arguments).folder)


if __name__ == "__main__":
    main()
