"""Reading the headers of a corpus: in parallel, resumable, once.

The results go to a file of JSON lines, a line a speaker, as they come in. An
interrupted scan goes on where it stopped, and after a change of the data only
the speakers concerned are read again.
"""

import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import NamedTuple

from tqdm import tqdm

from speechbrain_kd.data.audio import audio_info
from speechbrain_kd.data.decoders import SAMPLE_RATE
from speechbrain_kd.data.folders import pack_with
from speechbrain_kd.data.layout import Root, list_utterances, listing_digest
from speechbrain_kd.data.scan_file import Header, ScanFile
from speechbrain_kd.speed.threads import fork_if_any, usable_cores

logger = logging.getLogger(__name__)

# Reading a header holds Python's lock most of the time, so that only processes
# make it faster on a local disk; for few files threads will do, and they hide
# the latency of a network's.
_FILES_FOR_PROCESSES = 20_000


class Listing(NamedTuple):
    """What a speaker's folders hold, in short.

    Arguments
    ---------
    speaker : str
        The speaker.
    digest : str
        Changes with any file.
    files : int
        Number of utterances.
    passed_over : int
        Files of utterances that were there already in another format.
    """

    speaker: str
    digest: str
    files: int
    passed_over: int


def list_corpus(
    roots: list[Root],
    speakers: list[str],
    num_workers: int | None = None,
    progressbar: bool = True,
) -> list[Listing]:
    """Lists the files of every speaker, without opening any.

    Arguments
    ---------
    roots : list[Root]
        The folders that hold speakers.
    speakers : list[str]
        Names of the speakers.
    num_workers : int | None
        Threads; None means as many as there are cores.
    progressbar : bool
        Whether to show progress.

    Returns
    -------
    list[Listing]
        One for each speaker, in the order given.
    """
    bar = tqdm(
        total=len(speakers),
        desc="Listing speakers",
        disable=not progressbar,
        dynamic_ncols=True,
    )
    listings = []
    with bar, ThreadPoolExecutor(number_of_workers(num_workers)) as pool:
        for item in _in_order(partial(_list_one, roots), speakers, pool):
            listings.append(item)
            bar.update()
    return listings


def scan_corpus(
    roots: list[Root],
    listings: list[Listing],
    scan_file: ScanFile,
    num_workers: int | None = None,
    progressbar: bool = True,
) -> None:
    """Reads the headers that the file of results does not hold yet.

    Arguments
    ---------
    roots : list[Root]
        The folders that hold speakers.
    listings : list[Listing]
        What ``list_corpus`` gave.
    scan_file : ScanFile
        Where results are looked up and added.
    num_workers : int | None
        Threads, or processes for a large corpus; None means one for each
        core.
    progressbar : bool
        Whether to show progress.
    """
    known = scan_file.digests
    todo = {
        x.speaker: x
        for x in listings
        if known.get(x.speaker) != x.digest
        and pack_with(roots, x.speaker) is None
    }
    if not todo:
        return
    total = sum(x.files for x in todo.values())
    done = sum(known.get(x.speaker) == x.digest for x in listings)
    if done:
        logger.info("Headers of %d speakers are known from before", done)
    bar = tqdm(
        total=total,
        desc="Reading headers",
        unit="file",
        disable=not progressbar,
        dynamic_ncols=True,
    )
    with bar, _pool(number_of_workers(num_workers), total) as pool:
        records = _in_order(partial(_scan_one, roots), list(todo), pool)
        for record in scan_file.extend(records):
            bar.update(len(record["headers"]) + len(record["broken"]))
    scan_file.compact()


def read_records(
    roots: list[Root], listings: list[Listing], scan_file: ScanFile
) -> Iterator[dict]:
    """What is known of every utterance, a speaker at a time.

    Arguments
    ---------
    roots : list[Root]
        The folders that hold speakers.
    listings : list[Listing]
        What ``list_corpus`` gave.
    scan_file : ScanFile
        After ``scan_corpus``. Of speakers in packs it holds nothing: their
        index is as good.

    Yields
    ------
    dict
        ``speaker``, ``headers`` and ``broken``.
    """
    for speaker in (listing.speaker for listing in listings):
        index = pack_with(roots, speaker)
        if index is None:
            yield from scan_file.read([speaker])
            continue
        headers = [
            Header(str(x.reference), x.samples, SAMPLE_RATE, 1, x.key)
            for x in index.utterances(speaker)
        ]
        yield {"speaker": speaker, "headers": headers, "broken": []}


def _list_one(roots: list[Root], speaker: str) -> Listing:
    index = pack_with(roots, speaker)
    if index is not None:
        return Listing(speaker, index.digest(speaker), index.count(speaker), 0)
    utterances, passed_over = list_utterances(roots, speaker)
    digest = listing_digest(utterances)
    return Listing(speaker, digest, len(utterances), passed_over)


def _scan_one(roots: list[Root], speaker: str) -> dict:
    """The record of a speaker; listed anew, to keep paths out of the queue."""
    utterances, _ = list_utterances(roots, speaker)
    headers, broken = [], []
    for item in utterances:
        if item.samples >= 0:  # packed: the index has said it
            row = [item.path, item.samples, SAMPLE_RATE, 1, item.key]
            headers.append(row)
            continue
        try:
            info = audio_info(item.path)
        except (ValueError, OSError) as error:
            broken.append([item.key, str(error)])
            continue
        frames = info.frames_at()
        headers.append([item.path, frames, info.sample_rate, info.channels])
    return {
        "speaker": speaker,
        "digest": listing_digest(utterances),
        "headers": headers,
        "broken": broken,
    }


def number_of_workers(num_workers: int | None) -> int:
    """So many as asked for, or one for each core that this process may use."""
    if num_workers is None:
        num_workers = usable_cores()
    return max(1, num_workers or os.cpu_count() or 1)


def _pool(workers: int, files: int) -> Executor:
    if workers > 1 and files >= _FILES_FOR_PROCESSES:
        # Imports would take longer than the headers of 50,000 files.
        context = get_context(fork_if_any())
        return ProcessPoolExecutor(workers, mp_context=context)
    return ThreadPoolExecutor(workers)


def _in_order(
    function: Callable, items: Iterable, pool: Executor, ahead: int = 64
) -> Iterator:
    """Results in the order of the items, with few jobs under way.

    Few, so that memory stays bounded and Ctrl-C need not wait for a queue.
    """
    jobs: deque = deque()
    for item in items:
        jobs.append(pool.submit(function, item))
        if len(jobs) >= ahead:
            yield jobs.popleft().result()
    while jobs:
        yield jobs.popleft().result()
