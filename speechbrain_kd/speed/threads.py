"""How many processes read and how many threads compute, set by themselves."""

import logging
import multiprocessing
import os
from typing import NamedTuple

import torch

logger = logging.getLogger(__name__)

AUTO = "auto"

#: More readers than this hardly ever keep up better with one GPU.
_MOST_READERS = 8


class Plan(NamedTuple):
    """Processes that read, and threads that compute in this one.

    Arguments
    ---------
    readers : int
        Workers of the training loader; 0 reads in this process.
    threads : int
        Threads of torch.
    """

    readers: int
    threads: int


def plan(
    wanted: int | str, device_type: str, cores: int, local_ranks: int = 1
) -> Plan:
    """Divides the cores of a machine.

    On a GPU the cores are for reading. On a CPU they are for computing, and
    reading is a small part of it: one process alone does both.

    Arguments
    ---------
    wanted : int | str
        ``num_workers`` of the yaml; ``"auto"`` leaves it to this function.
    device_type : str
        ``"cpu"``, ``"cuda"``, ...
    cores : int
        Cores that may be used on this machine.
    local_ranks : int
        Ranks that share them.

    Returns
    -------
    Plan
        For one rank.

    Example
    -------
    >>> plan("auto", "cuda", cores=16), plan("auto", "cpu", cores=2)
    (Plan(readers=8, threads=8), Plan(readers=0, threads=2))
    >>> plan("auto", "cuda", cores=16, local_ranks=4)
    Plan(readers=3, threads=1)
    """
    share = max(1, cores // max(1, local_ranks))
    if wanted != AUTO:
        return Plan(int(wanted), share)
    on_gpu = device_type != "cpu"
    readers = min(_MOST_READERS, max(1, share - 1)) if on_gpu else 0
    return Plan(readers, max(1, share - readers))


def usable_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def settle(wanted: int | str, device_type: str) -> Plan:
    """Makes a plan for this process, follows it, and says so in the log.

    ``OMP_NUM_THREADS``, where it is set, decides about the threads.

    Arguments
    ---------
    wanted : int | str
        ``num_workers`` of the yaml.
    device_type : str
        Where the training runs.

    Returns
    -------
    Plan
        What was settled.
    """
    local_ranks = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    made = plan(wanted, device_type, usable_cores(), local_ranks)
    if "OMP_NUM_THREADS" in os.environ:
        made = made._replace(threads=torch.get_num_threads())
    else:
        torch.set_num_threads(made.threads)
    logger.info(
        "%d cores: %s, %d threads compute",
        usable_cores(),
        f"{made.readers} processes read" if made.readers else "no reader apart",
        made.threads,
    )
    return made


def start_method(readers: int) -> dict[str, str]:
    """How a loader starts its workers: by fork, where there is one.

    The functions of a SpeechBrain pipeline cannot be pickled, which the other
    ways need.

    Arguments
    ---------
    readers : int
        Workers of the loader.

    Returns
    -------
    dict[str, str]
        Options of torch's ``DataLoader``.

    Example
    -------
    >>> start_method(0)
    {}
    """
    method = fork_if_any()
    return {"multiprocessing_context": method} if readers and method else {}


def fork_if_any() -> str | None:
    """The start method ``fork``; ``None``, Python's choice, where it is absent.

    A forked process imports nothing again. Python's own choice is no longer
    fork from 3.14 on.
    """
    there = "fork" in multiprocessing.get_all_start_methods()
    return "fork" if there else None
