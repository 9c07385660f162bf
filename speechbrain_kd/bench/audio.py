"""Crops from plain files, packed samples and tar shards.

All of the same utterances, of which copies are made in every format. Read by
one thread, with all copies in the page cache: what is measured is opening,
seeking and decoding, not a disk.
"""

import hashlib
import random
from functools import partial
from pathlib import Path

import soundfile
import torch

from speechbrain_kd.atomic import atomic_path
from speechbrain_kd.bench.common import Options, table
from speechbrain_kd.bench.corpus import CROP_S, corpus_of, crop_of, rows_of
from speechbrain_kd.bench.turns import best_of_each
from speechbrain_kd.data.audio import load_audio
from speechbrain_kd.data.crops import Crops
from speechbrain_kd.data.packed.stream import TarStream
from speechbrain_kd.data.packed.writer import pack_corpus
from speechbrain_kd.data.prepare import prepare_corpus
from speechbrain_kd.evaluation.cost import one_thread

#: Utterances at most.
MOST = 1200

_PLAIN = ("wav", "flac")
_PACKED = ("int16", "tar")
_STREAM = "tar stream"
_NAMES = {
    "wav": "wav files",
    "flac": "flac files",
    "int16": "int16 pack",
    "tar": "tar, random access",
    _STREAM: "tar, stream",
}
_CHECKED = 20  # utterances whose crops are compared
_REPEATS = 3


def measure(options: Options) -> dict:
    """Reads a crop of every utterance from each format.

    Arguments
    ---------
    options : Options
        ``data_folder``; the copies lie in ``work`` and are used again.

    Returns
    -------
    dict
        ``formats``: by name ``crops_per_second``, ``bytes`` and the ratio of
        both to those of wav files.
    """
    rows = rows_of(corpus_of(options), "train")[:MOST]
    folder = options.work / "audio" / _digest(rows)
    manifests = make_copies(rows, folder)
    check_same(manifests)
    crops = Crops(CROP_S, seed=1)
    passes = {
        name: partial(_read_all, crops, found)
        for name, found in manifests.items()
    }
    passes[_STREAM] = partial(_stream_all, crops, manifests["tar"], folder)
    with one_thread():
        seconds = best_of_each(passes, repeats=_REPEATS)
    sizes = {name: _bytes(folder / name) for name in (*_PLAIN, *_PACKED)}
    sizes[_STREAM] = sizes["tar"]
    samples = sum(int(row["stop"]) for row in manifests["wav"])
    return {
        "utterances": len(rows),
        "hours": samples / 16000 / 3600,
        "crop_s": CROP_S,
        "threads": 1,
        "cache": "warm",
        "formats": {
            name: {
                "crops_per_second": len(rows) / seconds[name],
                "ratio": seconds["wav"] / seconds[name],
                "bytes": sizes[name],
                "bytes_ratio": sizes[name] / sizes["wav"],
            }
            for name in passes
        },
    }


def make_copies(rows: list[dict], folder: Path) -> dict[str, list[dict]]:
    """Copies utterances in every format; what is there is used as it is.

    Arguments
    ---------
    rows : list[dict]
        Of a manifest.
    folder : Path
        Of the copies of these utterances.

    Returns
    -------
    dict[str, list[dict]]
        Rows of a manifest of each format's, in the same order.
    """
    for row in rows:
        _copy(row, folder)
    for name in _PACKED:
        pack_corpus(folder / "wav", folder / name, name, progressbar=False)
    found = {}
    for name in (*_PLAIN, *_PACKED):
        corpus = prepare_corpus(
            folder / name,
            folder / f"prepared-{name}",
            single_utterance="train",
            progressbar=False,
        )
        copied = rows_of(corpus, "train", "valid")
        found[name] = sorted(copied, key=lambda row: row["id"])
    return found


def _copy(row: dict, folder: Path) -> None:
    """Writes an utterance as 16-bit samples, plain and compressed."""
    speaker, recording, number = row["id"].rsplit("--", 2)
    place = Path(speaker, recording, number)
    samples = None
    for name in _PLAIN:
        path = (folder / name / name / place).with_suffix(f".{name}")
        if path.is_file():
            continue
        if samples is None:
            samples = load_audio(row["wav"]).numpy()
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as part:
            soundfile.write(
                part, samples, 16000, subtype="PCM_16", format=name.upper()
            )


def check_same(manifests: dict[str, list[dict]]) -> None:
    """Raises ValueError where formats do not hold the same.

    Arguments
    ---------
    manifests : dict[str, list[dict]]
        As of ``make_copies``.
    """
    crops = Crops(CROP_S, seed=2)
    wavs = manifests["wav"]
    for name, rows in manifests.items():
        if [row["id"] for row in rows] != [row["id"] for row in wavs]:
            raise ValueError(f"{name} holds other utterances than wav")
        for one, other in zip(wavs[:_CHECKED], rows[:_CHECKED], strict=True):
            if not torch.equal(crop_of(crops, one), crop_of(crops, other)):
                raise ValueError(
                    f"{other['wav']}: expected the samples of {one['wav']}, "
                    "got others: remove the folder of copies"
                )


def _read_all(crops: Crops, rows: list[dict]) -> int:
    """Reads a crop of each, in an order that no format likes better."""
    order = random.Random(1).sample(range(len(rows)), len(rows))
    return sum(len(crop_of(crops, rows[at])) for at in order)


def _stream_all(crops: Crops, rows: list[dict], folder: Path) -> int:
    """Reads all utterances as the shards give them, and cuts a crop of each."""
    samples = 0
    stream = TarStream.of_pack(folder / "tar", [row["id"] for row in rows])
    for utterance, wav in stream:
        start, length = crops.bounds(utterance, len(wav))
        samples += len(crops.fit(wav[start : start + length]))
    return samples


def _digest(rows: list[dict]) -> str:
    """Of which utterances there are copies."""
    names = "\n".join(f"{row['wav']} {row['stop']}" for row in rows)
    return hashlib.sha256(names.encode()).hexdigest()[:12]


def _bytes(folder: Path) -> int:
    """Size of all files of a format, an index among them."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return sum(path.stat().st_size for path in files)


def report(facts: dict) -> str:
    """A row a format."""
    rows = [
        (
            _NAMES[name],
            cost["crops_per_second"],
            cost["ratio"],
            cost["bytes"] / 1e6,
            cost["bytes_ratio"],
        )
        for name, cost in facts["formats"].items()
    ]
    header = ("audio", "crops a second", "to wav", "MB", "to wav")
    return (
        table(header, rows)
        + f"\nCrops of {facts['crop_s']} s of {facts['utterances']:,} "
        f"utterances ({facts['hours']:.2f} h) by one thread, all files in the "
        "page cache. The stream decodes whole utterances.\n"
    )
