"""Memory of processes, by what Linux says of their pages."""

from pathlib import Path


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


def peak_mb() -> float:
    """The most resident memory that this process has had, in MB.

    Not getrusage: its peak begins with that of the process which started
    this one.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    (peak,) = [line for line in lines if line.startswith("VmHWM:")]
    return int(peak.split()[1]) / 1024


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
