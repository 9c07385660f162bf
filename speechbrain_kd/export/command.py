"""``speechbrain-kd export``: a trained model for where it is to run.

speechbrain-kd export results/student --to onnx --output student.onnx
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from speechbrain_kd.errors import EXPECTED
from speechbrain_kd.export.onnx_file import OPSET, WEIGHTS
from speechbrain_kd.export.targets import TARGETS, write

#: The options that only some of them take.
_OWN = {
    "speech": ("onnx", "onnx-int8", "web"),
    "licence": ("onnx", "onnx-int8", "hub", "web"),
    "weights": ("onnx", "web"),
    "opset": ("onnx", "onnx-int8", "web"),
    "calibration": ("onnx-int8",),
    "npm": ("web",),
    "repo_id": ("hub",),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Exports a model; status 1, and nothing written, where it fails.

    Arguments
    ---------
    arguments : Sequence[str] | None
        By default the command line's.
    """
    options = _parse(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        path = write(options)
    except EXPECTED as error:
        sys.exit(f"export: error: {' '.join(str(error).split())}")
    except KeyboardInterrupt:
        sys.exit(130)
    files = [one for one in [path, *path.rglob("*")] if one.is_file()]
    size = sum(one.stat().st_size for one in files)
    told = f" in {len(files)} files" if path.is_dir() else ""
    sys.stdout.write(f"{path}: {size:,} bytes{told}\n")


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads the options, and refuses those that the target does not take."""
    listing = "\n".join(
        f"  {name:12}{what}" for name, (_, what) in TARGETS.items()
    )
    parser = argparse.ArgumentParser(
        prog="speechbrain-kd export",
        description="A trained model for where it is to run.",
        epilog=f"--to, and what --output is:\n{listing}\n\n"
        "RUN: a run folder, an exported folder, or a hub id (with @REVISION);\n"
        "NAME=RUN gives the model a name. To web also an ONNX file.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("run", metavar="RUN")
    add("--to", choices=list(TARGETS), required=True, help="what to write")
    add("--output", type=Path, required=True, help="the file or folder")
    add(
        "--speech",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="audio to compare with PyTorch on, beside noise",
    )
    add("--licence", help="of the weights; default: the model card's")
    add(
        "--weights",
        choices=list(WEIGHTS),
        help="float16, int8 (from opset 13): smaller, the arithmetic stays "
        "float32",
    )
    add("--opset", type=int, help=f"ONNX's; default {OPSET}, 13 for int8")
    add(
        "--calibration",
        type=Path,
        metavar="FOLDER",
        help="audio to find the ranges of int8 on; default: the run's own",
    )
    add(
        "--npm",
        type=Path,
        metavar="FILE",
        help="the npm archive of onnxruntime-web; default: it is fetched",
    )
    add("--repo_id", metavar="USER/MODEL", help="what it is to be on the hub")
    options = parser.parse_args(arguments)
    for name, targets in _OWN.items():
        if getattr(options, name) is not None and options.to not in targets:
            parser.error(
                f"--{name} is for --to {' or '.join(targets)}, not for "
                f"{options.to}"
            )
    if options.opset is not None and options.opset < OPSET:
        parser.error(f"--opset is at least {OPSET}; got {options.opset}")
    if options.to == "hub" and options.repo_id is None:
        parser.error("--to hub needs --repo_id USER/MODEL: the card names it")
    return options


if __name__ == "__main__":
    main()
