"""``speechbrain-kd push``: a finished run to a hub, with an honest card.

speechbrain-kd push results/student ann/speaker-c32 --license apache-2.0 \
    --dry-run
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from speechbrain_kd.errors import EXPECTED
from speechbrain_kd.teachers.loading import sha256


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the folder, and uploads it in one commit.

    Arguments
    ---------
    arguments : Sequence[str] | None
        By default the command line's.
    """
    options = _parse(arguments)
    # A handler's own level: SpeechBrain's loggers have one of theirs.
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    logging.basicConfig(format="%(message)s", handlers=[handler])
    # Imported here, so that --help and a slip of the pen cost nothing.
    from speechbrain_kd.export.hub_folder import write_hub_folder
    from speechbrain_kd.export.hub_upload import (
        check_names,
        check_ready,
        upload,
    )

    try:
        check_names(options.repo_id, options.revision)
        if not options.dry_run:
            check_ready()
        folder = write_hub_folder(
            options.run,
            options.output or options.run / "hub",
            options.repo_id,
            licence=options.license,
            revision=options.revision,
            datasets=options.datasets,
            allowed=options.allowed,
            draws=options.draws,
        )
        told = listing(folder)
        if options.license is None:
            told += (
                "No --license: the card states none, so that nobody may use "
                "the model.\n"
            )
        if options.dry_run:
            sys.stdout.write(f"{told}Dry run: nothing was uploaded.\n")
            return
        commit = upload(
            folder,
            options.repo_id,
            private=options.private,
            revision=options.revision,
            update=options.update,
        )
    except EXPECTED as error:
        sys.exit(f"push: error: {' '.join(str(error).split())}")
    except KeyboardInterrupt:
        sys.exit(130)
    sys.stdout.write(f"{told}{options.repo_id}: the commit {commit}\n")


def listing(folder: Path) -> str:
    """The files of a folder with their bytes and SHA-256.

    Arguments
    ---------
    folder : Path
        The folder.

    Returns
    -------
    str
        A line each.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> _ = (folder / "a.txt").write_bytes(b"abc")
    >>> print(listing(folder), end="")
    /...:
               3  ba7816bf8f01  a.txt
    """
    lines = [f"{folder}:"]
    for file in sorted(folder.iterdir()):
        size = file.stat().st_size
        lines.append(f"{size:>12,}  {sha256(file)[:12]}  {file.name}")
    return "".join(f"{line}\n" for line in lines)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads and checks the options."""
    parser = argparse.ArgumentParser(
        prog="speechbrain-kd push",
        description="A finished run to a hub, in one commit.",
        epilog="The token is that of `hf auth login` or of HF_TOKEN.",
    )
    add = parser.add_argument
    add("run", type=Path, metavar="RUN", help="a finished run folder")
    add("repo_id", metavar="USER/MODEL")
    add("--private", action="store_true", help="for its owner alone")
    add("--revision", metavar="BRANCH", help="default: main")
    add("--update", action="store_true", help="write over what is there")
    add("--license", metavar="ID", help="of the weights: apache-2.0, …")
    add("--datasets", nargs="+", default=[], metavar="ID", help="trained on")
    add("--allowed", nargs="+", default=[], help="modules that it needs too")
    add("--draws", type=int, default=1000, help="of the bootstrap")
    add("--output", type=Path, help="the folder; default: RUN/hub")
    add("--dry-run", action="store_true", help="write the folder alone")
    options = parser.parse_args(arguments)
    if options.revision == "main":  # where all look by themselves
        options.revision = None
    if options.draws < 2:
        parser.error(f"--draws is at least 2; got {options.draws}")
    return options


if __name__ == "__main__":
    main()
