"""Packing a corpus: shards by several processes, resumable, index last."""

import hashlib
import json
import logging
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from speechbrain_kd.atomic import atomic_path
from speechbrain_kd.data.layout import (
    declared_test_speakers,
    find_roots,
    list_speakers,
    parse_folders,
)
from speechbrain_kd.data.packed.access import forget_maps
from speechbrain_kd.data.packed.checks import (
    MEGABYTE,
    REQUEST_NAME,
    alone,
    check_broken,
    check_output,
    check_settings,
    check_space,
)
from speechbrain_kd.data.packed.index import (
    KINDS,
    PACK_NAME,
    VERSION,
    WORK_NAME,
    shard_name,
)
from speechbrain_kd.data.packed.merge import merge_shards
from speechbrain_kd.data.packed.plan import Job, Plan
from speechbrain_kd.data.packed.pool import run_jobs
from speechbrain_kd.data.packed.shards import read_facts
from speechbrain_kd.data.scan import Listing, list_corpus, scan_corpus
from speechbrain_kd.data.scan_file import ScanFile

logger = logging.getLogger(__name__)


def pack_corpus(
    data_folder: str | Path | Sequence[str | Path],
    output: str | Path,
    format: str = "int16",
    shard_mb: float = 512,
    processes: int | None = None,
    on_broken: str = "error",
    progressbar: bool = True,
) -> dict:
    """Packs a corpus; goes on where it was interrupted.

    Arguments
    ---------
    data_folder : str | Path | Sequence[str | Path]
        As ``prepare_corpus`` takes it.
    output : str | Path
        The packed corpus: afterwards a ``data_folder`` itself.
    format : str
        ``int16``: 16-bit samples at 16 kHz. ``tar``: WebDataset shards of
        FLAC members, in mixed order.
    shard_mb : float
        MiB of 16-bit audio in a shard; FLAC takes about half of it.
    processes : int | None
        How many shards to write at once; None means one for each core.
    on_broken : str
        What to do about files that cannot be read: ``error`` or ``drop``.
    progressbar : bool
        Whether to show progress.

    Returns
    -------
    dict
        What ``pack.json`` says. ValueError where the data, the settings or
        ``output`` are not what they should be, OSError where it cannot be
        written.
    """
    folders = parse_folders(data_folder)
    output = Path(output).expanduser().absolute()
    check_settings(format, shard_mb, on_broken, output)
    request = request_of(folders, format, shard_mb)
    check_output(folders, output, request)
    work = output / WORK_NAME
    work.mkdir(parents=True, exist_ok=True)
    with alone(work):
        _write_json(work / REQUEST_NAME, request)
        roots = [root for folder in folders for root in find_roots(folder)]
        roots = list(dict.fromkeys(roots))
        speakers = list_speakers(roots)
        listings = list_corpus(roots, speakers, processes, progressbar)
        listings = [listing for listing in listings if listing.files]
        if not listings:
            raise ValueError(f"data_folder {data_folder}: no audio found")
        corpus = _digest(listings)
        facts = _finished(output, corpus)
        if facts is not None:
            logger.info("%s: packed before, nothing has changed", output)
            return facts
        scan_file = ScanFile(work / "scan.jsonl")
        scan_corpus(roots, listings, scan_file, processes, progressbar)
        plan = Plan(
            roots,
            listings,
            scan_file,
            work,
            KINDS[format],
            shard_mb * MEGABYTE,
        )
        check_broken(plan.broken, on_broken)
        jobs = list(plan.jobs(output, on_broken))
        _write_shards(plan, jobs, processes, progressbar)
        tests = _test_speakers(folders, roots)
        said = request | {"corpus": corpus, "test_speakers": sorted(tests)}
        return _finish(jobs, output, folders, said)


def request_of(folders: list[Path], format: str, shard_mb: float) -> dict:
    """What a packing is known by."""
    return {
        "version": VERSION,
        "format": format,
        "shard_mb": shard_mb,
        "source": [str(folder) for folder in folders],
    }


def _digest(listings: list[Listing]) -> str:
    parts = [(listing.speaker, listing.digest) for listing in listings]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _finished(output: Path, corpus: str) -> dict | None:
    """What ``pack.json`` says, if all is there."""
    path = output / PACK_NAME
    if not path.is_file():
        return None
    facts = json.loads(path.read_text(encoding="utf-8"))
    if facts["corpus"] != corpus:
        raise ValueError(
            f"{output}: expected the data as they were packed, but files in "
            f"{', '.join(facts['source'])} have changed since; pack them into "
            "another folder, or remove this one"
        )
    for number, shard in enumerate(facts["shards"]):
        name = shard_name(number, KINDS[facts["format"]])
        file = output / name
        if not file.is_file() or file.stat().st_size != shard["bytes"]:
            logger.warning("%s: missing or cut short, packed again", file)
            path.unlink()
            return None
    return facts


def _write_shards(
    plan: Plan, jobs: list[Job], processes: int | None, progressbar: bool
) -> None:
    todo = [job for job in jobs if read_facts(job) is None]
    if len(todo) < len(jobs):
        text = "%d of %d shards are there from before"
        logger.info(text, len(jobs) - len(todo), len(jobs))
    if not todo:
        return
    check_space(plan, todo)
    broken = run_jobs(todo, processes, progressbar)
    check_broken(broken, todo[0].on_broken)


def _test_speakers(folders: Iterable[Path], roots: list) -> set[str]:
    tests = set(list_speakers([root for root in roots if root.is_test]))
    return tests.union(*(declared_test_speakers(x) for x in folders))


def _finish(
    jobs: list[Job], output: Path, folders: list[Path], said: dict
) -> dict:
    """Copies what goes with the audio, writes the index, then pack.json."""
    for folder in reversed(folders):  # the first one's files win
        _copy_meta(folder / "meta", output / "meta")
    facts = said | merge_shards(jobs, output)
    if not facts["utterances"]:
        raise ValueError(f"{output}: nothing to pack: no file can be read")
    forget_maps()
    _write_json(output / PACK_NAME, facts)
    logger.info(
        "%s: %d utterances of %d speakers, %.2f h, in %d shards",
        output,
        facts["utterances"],
        facts["speakers"],
        facts["samples"] / facts["sample_rate"] / 3600,
        len(facts["shards"]),
    )
    return facts


def _copy_meta(source: Path, target: Path) -> None:
    """Copies the files, without the rights they had."""
    for path in source.rglob("*"):
        if path.is_file():
            copy = target / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)


def _write_json(path: Path, content: dict) -> None:
    with atomic_path(path) as part:
        part.write_text(json.dumps(content, indent=1), encoding="utf-8")
