"""Reading a packed corpus again, and comparing checksums."""

import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from speechbrain_kd.data.packed.access import SAMPLES
from speechbrain_kd.data.packed.index import PackIndex, open_index
from speechbrain_kd.data.packed.merge import index_crc32
from speechbrain_kd.data.packed.shards import file_crc32
from speechbrain_kd.data.scan import number_of_workers


def verify_pack(
    folder: str | Path, processes: int | None = None, progressbar: bool = True
) -> int:
    """Compares every utterance of a packed corpus with its checksum.

    Arguments
    ---------
    folder : str | Path
        The packed corpus.
    processes : int | None
        How many shards to read at once; None means one for each core.
    progressbar : bool
        Whether to show progress.

    Returns
    -------
    int
        Number of utterances. ValueError names the shards and utterances that
        are damaged.
    """
    index = open_index(Path(folder).absolute())
    if index is None:
        raise ValueError(f"{folder}: not a packed corpus: no pack.json in it")
    wrong = [
        f"{index.folder / name}: not as it was written"
        for name, crc in index_crc32(index.folder).items()
        if crc != index.facts["index_crc32"][name]
    ]
    bar = tqdm(
        total=len(index.rows),
        desc="Verifying",
        unit="utt",
        disable=not progressbar,
        dynamic_ncols=True,
    )
    by_shard = np.argsort(index.rows["shard"], kind="stable")
    ends = np.cumsum(
        np.bincount(index.rows["shard"], minlength=len(index.facts["shards"]))
    )
    parts = np.split(by_shard, ends[:-1])
    # Checksums and reads leave Python's lock alone: threads will do.
    with bar, ThreadPoolExecutor(number_of_workers(processes)) as pool:
        check = partial(_check_shard, index)
        for rows, found in zip(
            parts, pool.map(check, range(len(parts)), parts)
        ):
            wrong += found
            bar.update(len(rows))
    if wrong:
        raise ValueError(_message(wrong))
    return len(index.rows)


def _message(wrong: list[str]) -> str:
    more = [f"and {len(wrong) - 20} more"] if wrong[20:] else []
    lines = "\n".join(wrong[:20] + more)
    return (
        f"the pack is damaged in {len(wrong)} places; remove what is named "
        f"here and run the same speechbrain-kd pack again, or copy it "
        f"again:\n{lines}"
    )


def _check_shard(index: PackIndex, shard: int, rows: np.ndarray) -> list[str]:
    """What is wrong with a shard: its utterances, or else the rest of it."""
    path = index.shard_path(shard)
    if not path.is_file():
        return [f"{path}: no such shard"]
    wrong = [f"{path}: {key}" for key in _damaged(index, path, rows)]
    if wrong:
        return wrong
    said = index.facts["shards"][shard]
    if path.stat().st_size != said["bytes"]:
        size = path.stat().st_size
        return [f"{path}: expected {said['bytes']} bytes, got {size}"]
    if index.kind != SAMPLES and file_crc32(path) != said["crc32"]:
        return [f"{path}: damaged between its utterances"]
    return []


def _damaged(index: PackIndex, path: Path, rows: np.ndarray) -> Iterator[str]:
    width = 2 if index.kind == SAMPLES else 1
    rows = rows[np.argsort(index.rows["start"][rows])]
    with open(path, "rb") as file:
        for number in rows.tolist():
            row = index.rows[number]
            file.seek(int(row["start"]) * width)
            if zlib.crc32(file.read(int(row["size"]) * width)) != row["crc32"]:
                yield f"{index.names(number, number + 1)[0]} is damaged"
