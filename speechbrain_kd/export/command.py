"""``speechbrain-kd export``: a trained model for where it is to run.

speechbrain-kd export results/student --to onnx --output student.onnx
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from speechbrain_kd.data.audio import load_audio
from speechbrain_kd.errors import EXPECTED
from speechbrain_kd.export.onnx_facts import facts_of_model
from speechbrain_kd.export.onnx_file import OPSET, export_onnx
from speechbrain_kd.model_sources import load_model, parse_models
from speechbrain_kd.students.encoder import SpeakerEncoder
from speechbrain_kd.teachers.speechbrain import SpeechBrainTeacher


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
        _to_onnx(options)
    except EXPECTED as error:
        sys.exit(f"export: error: {' '.join(str(error).split())}")


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads the options."""
    parser = argparse.ArgumentParser(
        prog="speechbrain-kd export",
        description="A trained model for where it is to run.",
        epilog="RUN: a run folder, an exported folder, or a hub id (with "
        "@REVISION); NAME=RUN gives the model a name.",
    )
    add = parser.add_argument
    add("run", metavar="RUN")
    add("--to", choices=["onnx"], required=True, help="what to write")
    add("--output", type=Path, required=True, help="the file to write")
    add(
        "--speech",
        nargs="+",
        type=Path,
        default=[],
        metavar="FILE",
        help="audio to compare with PyTorch on, beside noise",
    )
    add("--licence", help="of the weights; default: the model card's")
    add(
        "--weights",
        choices=["float32", "int8"],
        default="float32",
        help="int8: smaller, the arithmetic stays float; needs opset 13",
    )
    add("--opset", type=int, default=OPSET, help=f"ONNX's; default {OPSET}")
    options = parser.parse_args(arguments)
    if options.opset < OPSET:
        parser.error(f"--opset is at least {OPSET}; got {options.opset}")
    return options


def _to_onnx(options: argparse.Namespace) -> None:
    """Writes the ONNX file."""
    (source,) = parse_models([options.run])
    _refuse_unfinished(Path(source.place))
    model = load_model(source)
    if not isinstance(model, SpeechBrainTeacher):
        raise ValueError(
            f"{source.place}: expected a model of SpeechBrain's modules (a run "
            f"or an exported folder, a hub id), came {type(model).__name__}"
        )
    encoder = SpeakerEncoder(
        model.compute_features, model.mean_var_norm, model.embedding_model
    ).eval()
    facts = facts_of_model(model, source.name, options.licence)
    speech: list[torch.Tensor] = [load_audio(path) for path in options.speech]
    path = export_onnx(
        options.output,
        encoder,
        facts,
        speech,
        opset=options.opset,
        int8=options.weights == "int8",
    )
    sys.stdout.write(f"{path}: {path.stat().st_size:,} bytes\n")


def _refuse_unfinished(place: Path) -> None:
    """Tells a run that has no export yet from an exported folder."""
    weights = (place / "export", place / "embedding_model.ckpt")
    if place.is_dir() and not any(one.exists() for one in weights):
        raise FileNotFoundError(
            f"{place}: expected a finished run (with export/) or an exported "
            "folder (with embedding_model.ckpt); there is neither"
        )


if __name__ == "__main__":
    main()
