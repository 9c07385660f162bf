"""Writing one shard: beside, then renamed, its index after it."""

import io
import json
import os
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
import torch

from speechbrain_kd.atomic import atomic_path
from speechbrain_kd.data.audio import SAMPLE_RATE, load_audio
from speechbrain_kd.data.layout import Utterance
from speechbrain_kd.data.packed.access import SAMPLES
from speechbrain_kd.data.packed.index import ROW
from speechbrain_kd.data.packed.plan import Job

_CHUNK = 1 << 22


class BrokenFiles(Exception):
    """Files of a shard that cannot be read: what is wrong with each."""


def write_shard(job: Job, tick: Callable[[], None]) -> list[str]:
    """Writes a shard and its index.

    Arguments
    ---------
    job : Job
        The shard.
    tick : Callable[[], None]
        Called once an utterance.

    Returns
    -------
    list[str]
        What is wrong with the files that cannot be read. They are left out
        where ``on_broken`` is ``drop``; else the shard is not written.
        OSError where it cannot be.
    """
    job.index.unlink(missing_ok=True)
    try:
        with atomic_path(job.shard) as part:
            writer = _write_samples if job.kind == SAMPLES else _write_tar
            with open(part, "wb") as file:
                contents = _Contents(job, tick)
                writer(contents, file)
                file.flush()
                os.fsync(file.fileno())
            if contents.broken and job.on_broken == "error":
                raise BrokenFiles(*contents.broken)
            if job.kind != SAMPLES:
                contents.find_members(part)
            contents.facts["bytes"] = part.stat().st_size
            contents.facts["crc32"] = file_crc32(part)
        contents.save()
    except BrokenFiles as error:
        return list(error.args)
    except OSError as error:
        raise OSError(
            error.errno,
            f"{job.shard}: cannot be written ({error.strerror or error}). "
            "Finished shards are kept: with that put right, run the same "
            "command again",
        ) from error
    return contents.broken


def read_facts(job: Job) -> dict | None:
    """What is known of a finished shard; None where it has to be written."""
    if not job.index.is_file() or not job.shard.is_file():
        return None
    with np.load(job.index) as saved:
        facts = json.loads(saved["facts"].tobytes())
    broken = facts["broken"] and job.on_broken == "error"
    same = (facts["digest"], facts["bytes"]) == (
        job.digest,
        job.shard.stat().st_size,
    )
    return facts if same and not broken else None


def file_crc32(path: Path) -> int:
    """Checksum of a whole file."""
    crc = 0
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            crc = zlib.crc32(chunk, crc)
    return crc


def to_int16(wav: torch.Tensor) -> tuple[np.ndarray, int]:
    """Rounds to 16 bits; exact for what was 16 bits before.

    Arguments
    ---------
    wav : torch.Tensor
        ``[samples]``, float32.

    Returns
    -------
    tuple[np.ndarray, int]
        Samples, and how many were out of range.

    Example
    -------
    >>> samples, clipped = to_int16(torch.tensor([-1.0, 0.25, 1.5]))
    >>> samples.tolist(), clipped
    ([-32768, 8192, 32767], 1)
    """
    scaled = np.rint(wav.numpy() * np.float32(32768))
    clipped = int(((scaled > 32767) | (scaled < -32768)).sum())
    return np.clip(scaled, -32768, 32767).astype("<i2"), clipped


class _Contents:
    """The utterances of a shard as they are read, and what its index says."""

    def __init__(self, job: Job, tick: Callable[[], None]):
        self.job, self.tick = job, tick
        self.broken: list[str] = []
        self.rows: list[tuple] = []
        self.positions: list[int] = []
        self.names: list[str] = []
        self.facts = {"digest": job.digest, "clipped": 0, "clipped_files": []}

    def __iter__(self):
        """Yields each utterance and its samples."""
        for position, item in zip(
            self.job.positions.tolist(), self.job.utterances(), strict=True
        ):
            self.tick()
            try:
                wav = load_audio(item.path)
            except (ValueError, OSError) as error:
                self.broken.append(str(error))
                continue
            samples, clipped = to_int16(wav)
            if clipped:
                self.facts["clipped"] += clipped
                self.facts["clipped_files"].append(item.path)
            self.positions.append(position)
            self.names.append(item.key + item.extension)
            yield item, samples

    def add(self, start: int, size: int, samples: int, crc: int) -> None:
        """Notes where the last utterance lies."""
        self.rows.append((0, start, size, samples, crc, 0))

    def find_members(self, path: Path) -> None:
        """Fills in where the members of a tar lie."""
        with tarfile.open(path, "r:") as tar:
            found = [x for x in tar if x.name.endswith(".flac")]
        self.rows = [
            (0, member.offset_data, *row[2:])
            for member, row in zip(found, self.rows, strict=True)
        ]

    def save(self) -> None:
        """Writes the shard's index."""
        names = "".join(f"{name}\n" for name in self.names)
        facts = json.dumps(self.facts | {"broken": self.broken})
        with atomic_path(self.job.index) as part, open(part, "wb") as file:
            np.savez(
                file,
                rows=np.array(self.rows, ROW),
                positions=np.array(self.positions, "i8"),
                names=np.frombuffer(
                    names.encode("utf-8", "surrogateescape"), "u1"
                ),
                facts=np.frombuffer(facts.encode(), "u1"),
            )


def _write_samples(contents: _Contents, file: io.BufferedIOBase) -> None:
    start = 0
    for _, samples in contents:
        data = samples.tobytes()
        file.write(data)
        contents.add(start, len(samples), len(samples), zlib.crc32(data))
        start += len(samples)


def _write_tar(contents: _Contents, file: io.BufferedIOBase) -> None:
    webdataset = import_webdataset(contents.job.shard)
    # Times and owners would make two packs of a corpus differ.
    with webdataset.TarWriter(file, mtime=0, format="PAX_FORMAT") as tar:
        for item, samples in contents:
            flac = io.BytesIO()
            soundfile.write(
                flac, samples, SAMPLE_RATE, format="FLAC", subtype="PCM_16"
            )
            data = flac.getvalue()
            tar.write(_member(item, data, len(samples)))
            contents.add(0, len(data), len(samples), zlib.crc32(data))


def _member(item: Utterance, flac: bytes, samples: int) -> dict:
    speaker = item.key.split("/")[0]
    facts = {
        "id": item.key.replace("/", "--"),
        "key": item.key,
        "speaker": speaker,
        "name": item.key + item.extension,
        "samples": samples,
    }
    return {"__key__": member_key(facts["id"]), "flac": flac, "json": facts}


def member_key(utterance: str) -> str:
    """The name of an utterance's members: its id, without dots.

    WebDataset takes everything after the first dot for the extension.

    Example
    -------
    >>> member_key("id1--a.b--1")
    'id1--a%2Eb--1'
    """
    return utterance.replace("%", "%25").replace(".", "%2E")


def import_webdataset(path: str | Path):
    """WebDataset, or an ImportError that says what needs it."""
    try:
        import webdataset
    except ImportError as error:
        raise ImportError(
            f"{path}: tar shards need webdataset: "
            "pip install 'speechbrain-kd[tar]'"
        ) from error
    return webdataset
