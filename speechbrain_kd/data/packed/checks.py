"""What keeps a packing from beginning, or from ending well."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from speechbrain_kd.data.packed.access import SAMPLES
from speechbrain_kd.data.packed.index import KINDS, PACK_NAME, WORK_NAME
from speechbrain_kd.data.packed.plan import Job, Plan
from speechbrain_kd.data.packed.shards import import_webdataset

REQUEST_NAME = "request.json"
"""What was asked for, beside the work of an interrupted packing."""

MEGABYTE = 1 << 20


def check_settings(
    format: str, shard_mb: float, on_broken: str, output: Path
) -> None:
    """Refuses values that mean nothing."""
    if format not in KINDS:
        raise ValueError(f"format: expected int16 or tar, got {format!r}")
    if not shard_mb > 0:
        raise ValueError(f"shard_mb: expected MiB above 0, got {shard_mb}")
    if on_broken not in ("error", "drop"):
        raise ValueError(
            f"on_broken: expected error or drop, got {on_broken!r}"
        )
    if format == "tar":
        import_webdataset(output)


def check_output(folders: list[Path], output: Path, request: dict) -> None:
    """Refuses a folder that holds anything else than this very pack."""
    for folder in folders:
        if output == folder or folder in output.parents:
            raise ValueError(
                f"{output}: lies in the data folder {folder}; give an output "
                "folder outside of it"
            )
    for path in (output / PACK_NAME, output / WORK_NAME / REQUEST_NAME):
        if path.is_file():
            there = json.loads(path.read_text(encoding="utf-8"))
            there = {key: there.get(key) for key in request}
            if there != request:
                raise ValueError(
                    f"{output}: expected a pack of {request}, it is one of "
                    f"{there}; give another output folder"
                )
            return
    if output.is_dir() and set(os.listdir(output)) - {WORK_NAME}:
        raise ValueError(
            f"{output}: expected an empty folder or a pack, found "
            f"{', '.join(sorted(os.listdir(output))[:5])}"
        )


@contextmanager
def alone(work: Path) -> Iterator[None]:
    """Keeps a second packing out; the lock ends with this process."""
    try:
        import fcntl
    except ImportError:  # not on Windows
        yield
        return
    with open(work / "lock", "w") as file:
        try:
            # Unlike flock's, this lock is not inherited by the workers.
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ValueError(
                f"{work.parent}: another packing is under way here"
            ) from error
        for left in work.parent.glob(".shard-*"):
            shutil.rmtree(left, ignore_errors=True)
        yield


def check_broken(broken: list[str], on_broken: str) -> None:
    """Refuses unreadable files, unless they are to be dropped."""
    if broken and on_broken == "error":
        more = f"\nand {len(broken) - 10} more" if broken[10:] else ""
        raise ValueError(
            f"{len(broken)} files cannot be read: remove or replace them and "
            "run the same command again, or give --on-broken drop:\n"
            + "\n".join(broken[:10])
            + more
        )


def check_space(plan: Plan, jobs: list[Job]) -> None:
    """Refuses a disk that is too small before hours are spent on it."""
    if plan.kind != SAMPLES:
        return  # what FLAC will take is not known
    output = jobs[0].shard.parent
    needed = 2 * sum(int(plan.samples[x.positions].sum()) for x in jobs)
    free = shutil.disk_usage(output).free
    if needed > free:
        raise OSError(
            f"{output}: the disk is too small: {needed / MEGABYTE:.0f} MiB "
            f"are needed, {free / MEGABYTE:.0f} MiB free"
        )
