"""Many jobs, some at once, each in a process of its own with its own log."""

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from speechbrain_kd.speed.threads import usable_cores
from speechbrain_kd.study.jobs import Job

logger = logging.getLogger(__name__)

_END = 12  # lines of a log that say why a job failed


@dataclass(frozen=True)
class Failure:
    """A job that failed.

    Arguments
    ---------
    name : str
        Of the job.
    log : Path
        All that it said.
    """

    name: str
    log: Path


def run_all(
    jobs: Iterable[Job],
    command: Callable[[Job], Sequence[str]],
    at_once: int,
) -> list[Failure]:
    """Runs what is not done; a failure is told, and the others go on.

    Arguments
    ---------
    jobs : Iterable[Job]
        In the order to begin them.
    command : Callable[[Job], Sequence[str]]
        Arguments of ``python`` for a job.
    at_once : int
        Processes at a time; they divide the cores.

    Returns
    -------
    list[Failure]
        Those that failed.
    """
    waiting = [job for job in jobs if job.result() is None]
    environment = _environment(at_once)
    began, done = time.monotonic(), 0

    def work(job: Job) -> Failure | None:
        nonlocal done
        status = _run(command(job), job.log, environment)
        done += 1
        minutes = (time.monotonic() - began) / 60
        end = "failed" if status else "done"
        logger.info(
            "%s: %s (%d of %d after %.1f minutes)",
            *(job.name, end, done, len(waiting), minutes),
        )
        if not status:
            return None
        logger.error(
            "%s: the end of %s:\n%s", job.name, job.log, _tail(job.log)
        )
        return Failure(job.name, job.log)

    with ThreadPoolExecutor(at_once) as pool:
        try:
            return [one for one in pool.map(work, waiting) if one is not None]
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)
            raise


def _environment(at_once: int) -> dict[str, str]:
    """Each process has its share of the cores, unless the caller has said."""
    threads = str(max(1, usable_cores() // at_once))
    return {"OMP_NUM_THREADS": threads} | os.environ


def _run(arguments: Sequence[str], log: Path, environment: dict) -> int:
    """A process, all that it says to its log; its status."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "a", encoding="utf-8") as out:
        return subprocess.run(
            [sys.executable, *arguments],
            stdout=out,
            stderr=subprocess.STDOUT,
            env=environment,
            check=False,
        ).returncode


def _tail(log: Path) -> str:
    """The last lines of a log, without what bars overwrote."""
    text = log.read_bytes().decode(errors="replace")
    lines = [line.rpartition("\r")[2] for line in text.rstrip().split("\n")]
    return "\n".join(f"    {line}" for line in lines[-_END:])
