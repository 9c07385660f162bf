"""What ``speechbrain-kd export`` writes, one function for each ``--to``."""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch

from speechbrain_kd.data.audio import load_audio
from speechbrain_kd.export.onnx_facts import OnnxFacts, facts_of_model
from speechbrain_kd.export.onnx_file import OPSET, export_onnx
from speechbrain_kd.model_sources import ModelSource, load_model, parse_models
from speechbrain_kd.students.encoder import SpeakerEncoder
from speechbrain_kd.teachers.speechbrain import SpeechBrainTeacher


def write(options: argparse.Namespace) -> Path:
    """Writes what was asked for.

    Arguments
    ---------
    options : argparse.Namespace
        Of ``speechbrain-kd export``.

    Returns
    -------
    Path
        The file or folder.

    Raises
    ------
    FileNotFoundError, ValueError, ImportError
        In words, for the command line; nothing was written.
    """
    to, _ = TARGETS[options.to]
    return to(options)


def _to_speechbrain(options: argparse.Namespace) -> Path:
    """The folder that SpeechBrain loads."""
    from speechbrain_kd.export.model_copy import copy_model

    source, model = _load(options.run)
    allowed = source.options.get("allowed", ())
    if isinstance(allowed, str):
        allowed = (allowed,)
    return copy_model(options.output, model, tuple(allowed))


def _to_onnx(options: argparse.Namespace) -> Path:
    """One file from waveform to embedding, its arithmetic in float."""
    _, encoder, facts = _encoder(options)
    return export_onnx(
        options.output,
        encoder,
        facts,
        _speech(options),
        opset=options.opset or OPSET,
        weights=options.weights or "float32",
    )


def _to_onnx_int8(options: argparse.Namespace) -> Path:
    """The same, its layers computing in int8."""
    from speechbrain_kd.export.int8_audio import training_audio
    from speechbrain_kd.export.int8_file import export_int8
    from speechbrain_kd.export.onnx_weights import INT8_OPSET

    source, encoder, facts = _encoder(options)
    return export_int8(
        options.output,
        encoder,
        facts,
        training_audio(options.calibration or _run_of(source)),
        _speech(options),
        opset=options.opset or INT8_OPSET,
    )


def _to_hub(options: argparse.Namespace) -> Path:
    """What ``speechbrain-kd push`` uploads."""
    from speechbrain_kd.export.hub_folder import write_hub_folder
    from speechbrain_kd.export.hub_upload import check_names

    check_names(options.repo_id)
    (source,) = parse_models([options.run])
    if not Path(source.place).is_dir():
        raise ValueError(
            f"{source.place}: --to hub is made of a finished run folder, whose "
            "results its card tells; there is none"
        )
    if source.options:
        raise ValueError(
            f"{source.place}: --to hub writes the export as it is; expected no "
            f"options, came {', '.join(source.options)}"
        )
    return write_hub_folder(
        source.place, options.output, options.repo_id, licence=options.licence
    )


def _to_web(options: argparse.Namespace) -> Path:
    """A page with the model in it."""
    from speechbrain_kd.export.web_folder import export_web

    (source,) = parse_models([options.run])
    if Path(source.place).suffix == ".onnx":
        return export_web(options.output, source.place, npm=options.npm)
    with tempfile.TemporaryDirectory() as folder:
        given = vars(options) | {"output": Path(folder) / "model.onnx"}
        file = _to_onnx(argparse.Namespace(**given))
        return export_web(options.output, file, npm=options.npm)


#: By ``--to``: what writes it, and what ``--output`` then is, in words.
TARGETS: dict[str, tuple[Callable[[argparse.Namespace], Path], str]] = {
    "speechbrain": (_to_speechbrain, "a folder that SpeechBrain loads"),
    "onnx": (_to_onnx, "a file, waveform to embedding"),
    "onnx-int8": (_to_onnx_int8, "the same, its layers computing in int8"),
    "hub": (_to_hub, "the folder that `speechbrain-kd push` uploads"),
    "web": (_to_web, "a folder with a page that compares two voices"),
}


def _load(run: str) -> tuple[ModelSource, SpeechBrainTeacher]:
    """The model that is named."""
    (source,) = parse_models([run])
    _refuse_unfinished(Path(source.place))
    model = load_model(source)
    if not isinstance(model, SpeechBrainTeacher):
        raise ValueError(
            f"{source.place}: expected a model of SpeechBrain's modules (a run "
            f"or an exported folder, a hub id), came {type(model).__name__}"
        )
    return source, model


def _encoder(
    options: argparse.Namespace,
) -> tuple[ModelSource, SpeakerEncoder, OnnxFacts]:
    """The modules of the model that is named, and what is known of it."""
    source, model = _load(options.run)
    encoder = SpeakerEncoder(
        model.compute_features, model.mean_var_norm, model.embedding_model
    )
    facts = facts_of_model(model, source.name, options.licence)
    return source, encoder.eval(), facts


def _speech(options: argparse.Namespace) -> list[torch.Tensor]:
    """The audio to compare on."""
    return [load_audio(path) for path in options.speech or ()]


def _run_of(source: ModelSource) -> Path:
    """The run folder of a model, which names the audio of its training."""
    place = Path(source.place)
    if not place.is_dir():
        raise ValueError(
            f"{source.place}: the training audio of a model of the hub is not "
            "known; give --calibration FOLDER"
        )
    save = place.parent / "save" if place.name == "export" else None
    return place.parent if save is not None and save.is_dir() else place


def _refuse_unfinished(place: Path) -> None:
    """Tells a run that has no export yet from an exported folder."""
    weights = (place / "export", place / "embedding_model.ckpt")
    if place.is_dir() and not any(one.exists() for one in weights):
        raise FileNotFoundError(
            f"{place}: expected a finished run (with export/) or an exported "
            "folder (with embedding_model.ckpt); there is neither"
        )
