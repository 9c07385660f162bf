"""``speechbrain-kd pack``: a corpus into a few large files, and their check.

speechbrain-kd pack /corpora/voxceleb2 /fast/voxceleb2 --verify
"""

import argparse
import logging
import sys
from pathlib import Path

from speechbrain_kd.data.layout import parse_folders
from speechbrain_kd.data.packed.index import KINDS, open_index
from speechbrain_kd.data.packed.verify import verify_pack
from speechbrain_kd.data.packed.writer import pack_corpus

logger = logging.getLogger(__name__)


def main(arguments: list[str] | None = None) -> None:
    """Packs a corpus; what is finished is not done again.

    Arguments
    ---------
    arguments : list[str] | None
        The data folder (or several, separated by commas), the output folder
        and options; by default the command line's.
    """
    parser = argparse.ArgumentParser(
        prog="speechbrain-kd pack",
        description="Packs a corpus into a folder that serves as data_folder.",
    )
    parser.add_argument("data_folder", metavar="DATA_FOLDER")
    parser.add_argument("output", metavar="OUTPUT", type=Path)
    parser.add_argument(
        "--format",
        choices=KINDS,
        default="int16",
        help="16-bit samples for a local disk, or WebDataset tar shards of "
        "FLAC for object stores and network disks",
    )
    parser.add_argument(
        "--shard-mb",
        type=float,
        default=512,
        help="MiB of 16-bit audio in a shard; FLAC takes about half",
    )
    parser.add_argument("--processes", type=int, help="default: all cores")
    parser.add_argument(
        "--on-broken",
        choices=("error", "drop"),
        default="error",
        help="what to do about files that cannot be read",
    )
    parser.add_argument(
        "--verify",
        action="store_true",
        help="read everything again and compare checksums; a finished pack "
        "is only verified, its source need not be there",
    )
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        run(options)
    except (ValueError, OSError, ImportError) as error:
        sys.exit(f"pack: error: {error}")
    except KeyboardInterrupt:
        logger.info("Interrupted: the same command goes on where it stopped")
        sys.exit(130)


def run(options: argparse.Namespace) -> None:
    """Packs unless only verification is left, and verifies if asked to.

    Arguments
    ---------
    options : argparse.Namespace
        As ``main`` parses them.
    """
    if not (options.verify and is_pack_of(options)):
        pack_corpus(
            options.data_folder,
            options.output,
            options.format,
            options.shard_mb,
            options.processes,
            options.on_broken,
        )
    if options.verify:
        count = verify_pack(options.output, options.processes)
        logger.info("%s: %d utterances, all sound", options.output, count)


def is_pack_of(options: argparse.Namespace) -> bool:
    """Whether the output is a finished pack of the data folder."""
    try:
        index = open_index(options.output)
    except ValueError:  # not finished
        return False
    if index is None or index.facts["format"] != options.format:
        return False
    source = index.facts["source"]
    asked = options.data_folder.split(",")
    if [str(Path(x.strip()).expanduser().absolute()) for x in asked] != source:
        # Also says what is wrong with it.
        return [str(x) for x in parse_folders(options.data_folder)] == source
    return True


if __name__ == "__main__":
    main()
