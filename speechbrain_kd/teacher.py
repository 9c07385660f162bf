"""``speechbrain-kd teacher``: what a teacher is, and whether it holds.

speechbrain-kd teacher hparams/teachers/campplus_onnx.yaml,source=cam.onnx \
    --data_folder VOX --trials VOX/meta/veri_test.txt
"""

import argparse
import json
import logging
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from speechbrain_kd.atomic import atomic_path
from speechbrain_kd.errors import EXPECTED


def main(arguments: Sequence[str] | None = None) -> None:
    """Looks at a teacher; status 1 where it is refused or a check fails.

    Arguments
    ---------
    arguments : Sequence[str] | None
        By default the command line's.
    """
    options = _parse(arguments)
    with one_line_errors("teacher", options.verbose):
        # Imported here, so that --help and a slip of the pen cost nothing.
        from speechbrain_kd.examining.look import look

        found = look(options)
        if options.json:
            text = json.dumps(found.to_dict(), indent=2) + "\n"
            with atomic_path(options.json) as part:
                part.write_text(text, encoding="utf-8")
    sys.stdout.write(found.text())
    if found.failed:
        sys.exit(f"teacher: failed: {', '.join(found.failed)}")


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads and checks the options."""
    parser = argparse.ArgumentParser(
        prog="speechbrain-kd teacher",
        description="What a teacher is, and whether it holds.",
        epilog="SOURCE: a run folder, an exported folder, a hub id (with "
        "@REVISION), an ONNX file, or a yaml fragment of hparams/teachers; "
        ",KEY=VALUE after it gives arguments of its class.",
    )
    add = parser.add_argument
    add("source", metavar="SOURCE")
    add("--data_folder", help="a training set: speech, and its speakers")
    add("--trials", nargs="+", default=[], metavar="[NAME=]FILE")
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    add("--json", type=Path, help="write all of it here too")
    add("--seconds", type=float, default=2.0, help="longest crop of the checks")
    add("--utterances", type=int, default=64, help="of the checks")
    add("--tolerance", type=float, help="default: 1e-4, on a GPU 1e-2")
    add("--draws", type=int, default=1000, help="of the bootstrap; 0 for none")
    add("--cache", type=Path, default=Path("results/embeddings"))
    add("--noprogressbar", action="store_true")
    add("--verbose", action="store_true", help="with warnings and tracebacks")
    options = parser.parse_args(arguments)
    if not 0.5 <= options.seconds <= 60:
        parser.error(f"--seconds is 0.5 to 60; got {options.seconds}")
    if options.utterances < 2:
        parser.error(f"--utterances is at least 2; got {options.utterances}")
    if options.draws < 0 or options.draws == 1:
        parser.error(f"--draws is 0, or at least 2; got {options.draws}")
    if options.tolerance is None:
        options.tolerance = 1e-4 if options.device == "cpu" else 1e-2
    return options


@contextmanager
def one_line_errors(command: str, verbose: bool) -> Iterator[None]:
    """Ends a command on foreign models with one line and status 1.

    Arguments
    ---------
    command : str
        Stands before the line.
    verbose : bool
        Logs, warnings and tracebacks of what is not expected are shown.

    Yields
    ------
    None
        Where the command does its work.
    """
    with _quiet(verbose):
        try:
            yield
        except KeyboardInterrupt:
            sys.exit(130)
        except Exception as error:  # whatever a foreign model may raise
            if verbose and not isinstance(error, EXPECTED):
                raise
            sys.exit(f"{command}: error: {_line(error)}")


def _line(error: Exception) -> str:
    """An error in one line."""
    text = " ".join(str(error).split())
    if isinstance(error, EXPECTED) and text:
        return text
    return f"{type(error).__name__}: {text or 'without a reason'}"


@contextmanager
def _quiet(verbose: bool) -> Iterator[None]:
    """Leaves standard error to what a command says."""
    if verbose:
        logging.basicConfig(level=logging.INFO, format="%(message)s")
        yield
        return
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


if __name__ == "__main__":
    main()
