"""The index of a packed corpus, from those of its shards."""

import json
import logging
from pathlib import Path

import numpy as np

from speechbrain_kd.atomic import atomic_path
from speechbrain_kd.data.decoders import SAMPLE_RATE
from speechbrain_kd.data.packed.index import (
    INDEX_NAME,
    NAMES_NAME,
    ROW,
    SPEAKERS_NAME,
)
from speechbrain_kd.data.packed.plan import Job
from speechbrain_kd.data.packed.shards import file_crc32

logger = logging.getLogger(__name__)


def merge_shards(jobs: list[Job], output: Path) -> dict:
    """Writes the index files.

    Arguments
    ---------
    jobs : list[Job]
        The shards, all finished.
    output : Path
        The packed corpus.

    Returns
    -------
    dict
        Counts, the size and checksum of each shard and of the index.
    """
    rows, positions, names, shards, clipped = [], [], [], [], []
    for number, job in enumerate(jobs):
        with np.load(job.index) as saved:
            facts = json.loads(saved["facts"].tobytes())
            rows.append(saved["rows"])
            positions.append(saved["positions"])
            names += saved["names"].tobytes().splitlines(keepends=True)
        rows[-1]["shard"] = number
        shards.append({key: facts[key] for key in ("bytes", "crc32")})
        clipped.append(facts)
    _say_clipped(clipped)
    order = np.argsort(np.concatenate([np.empty(0, "i8"), *positions]))
    table = np.concatenate([np.empty(0, ROW), *rows])[order]
    speakers = _write_names(output, table, [names[x] for x in order.tolist()])
    with atomic_path(output / INDEX_NAME) as part, open(part, "wb") as file:
        np.save(file, table)
    return {
        "sample_rate": SAMPLE_RATE,
        "utterances": len(table),
        "speakers": speakers,
        "samples": int(table["samples"].sum()),
        "left_out": sum(len(facts["broken"]) for facts in clipped),
        "clipped": sum(facts["clipped"] for facts in clipped),
        "index_crc32": index_crc32(output),
        "shards": shards,
    }


def index_crc32(output: Path) -> dict[str, int]:
    """Checksums of the files of the index."""
    names = (INDEX_NAME, NAMES_NAME, SPEAKERS_NAME)
    return {name: file_crc32(output / name) for name in names}


def _write_names(output: Path, table: np.ndarray, names: list[bytes]) -> int:
    """Writes names and speakers, fills in the names' places."""
    firsts, last, place = [], None, 0
    with atomic_path(output / NAMES_NAME) as part, open(part, "wb") as file:
        starts = np.empty(len(names), "i8")
        for number, name in enumerate(names):
            speaker = name.split(b"/", 1)[0]
            if speaker != last:
                firsts.append(number)
                last = speaker
            starts[number] = place
            place += file.write(name)
    table["name"] = starts
    with atomic_path(output / SPEAKERS_NAME) as part:
        with open(part, "wb") as file:
            np.save(file, np.array([*firsts, len(names)], "i8"))
    return len(firsts)


def _say_clipped(facts: list[dict]) -> None:
    files = [path for shard in facts for path in shard["clipped_files"]]
    if files:
        logger.warning(
            "%d samples of %d files were beyond 16 bits and are clipped: %s%s",
            sum(shard["clipped"] for shard in facts),
            len(files),
            ", ".join(files[:5]),
            ", ..." if files[5:] else "",
        )
