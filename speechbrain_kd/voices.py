"""``speechbrain-kd voices``: ids that are one person, by a teacher's ear.

speechbrain-kd voices campplus.onnx --data_folder VOX --clean clean_test.txt
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from speechbrain_kd.teacher import one_line_errors


def main(arguments: Sequence[str] | None = None) -> None:
    """Says which ids of a corpus are one voice; status 1 where it cannot.

    Arguments
    ---------
    arguments : Sequence[str] | None
        By default the command line's.
    """
    options = _parse(arguments)
    with one_line_errors("voices", options.verbose):
        # Imported here, so that --help and a slip of the pen cost nothing.
        from speechbrain_kd.examining.voices import find_voices

        found = find_voices(options)
        said = found.text()
        if options.output is not None:
            found.write(options.output)
        if options.clean is not None:
            kept = found.write_clean(options.clean)
            said += f"{options.clean} has the other {kept:,} trials.\n"
    sys.stdout.write(said)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads and checks the options."""
    parser = argparse.ArgumentParser(
        prog="speechbrain-kd voices",
        description="Ids of a corpus that are one person, in training and "
        "test, by a speaker model's ear.",
        epilog="SOURCE is as for speechbrain-kd teacher. A model that is no "
        "better than the one you train is no judge.",
    )
    add = parser.add_argument
    add("source", metavar="SOURCE")
    add("--data_folder", required=True, help="in VoxCeleb's layout")
    add("--output", type=Path, help="write who has whose voice, as csv")
    add("--clean", type=Path, help="write the list without doubtful trials")
    return parse_listening(parser, arguments)


def parse_listening(
    parser: argparse.ArgumentParser, arguments: Sequence[str] | None
) -> argparse.Namespace:
    """Parses, with what all commands have that go by a model's ear.

    Arguments
    ---------
    parser : argparse.ArgumentParser
        With the command's own options.
    arguments : Sequence[str] | None
        By default the command line's.

    Returns
    -------
    argparse.Namespace
        All of them, checked.
    """
    add = parser.add_argument
    add("--trials", help="default: meta/veri_test.txt of the data folder")
    add("--threshold", type=float, help="a cosine; default: found")
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    add("--cache", type=Path, default=Path("results/embeddings"))
    add("--noprogressbar", action="store_true")
    add("--verbose", action="store_true", help="with warnings and tracebacks")
    options = parser.parse_args(arguments)
    if options.threshold is not None and not 0 < options.threshold < 1:
        parser.error(f"--threshold is between 0 and 1; got {options.threshold}")
    return options


if __name__ == "__main__":
    main()
