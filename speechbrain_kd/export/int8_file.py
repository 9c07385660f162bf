"""A speaker model as one ONNX file whose layers compute in int8."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from speechbrain_kd.atomic import atomic_path
from speechbrain_kd.export.int8_audio import held_apart
from speechbrain_kd.export.int8_layers import (
    find_layers,
    find_ranges,
    quantised,
    tidy,
)
from speechbrain_kd.export.int8_sweep import choose_float, without
from speechbrain_kd.export.onnx_facts import OnnxFacts
from speechbrain_kd.export.onnx_file import (
    encoder_graph,
    onnx_path,
    write_graph,
)
from speechbrain_kd.export.onnx_parity import check_onnx
from speechbrain_kd.export.onnx_weights import INT8_OPSET, weights_to_int8
from speechbrain_kd.students.encoder import SpeakerEncoder

if TYPE_CHECKING:
    import onnx

logger = logging.getLogger(__name__)

#: Of an embedding of speech with PyTorch's float one.
LEAST_COSINE = 0.98
#: The same of noise, which the ranges were not made for.
LEAST_OF_NOISE = 0.9


def export_int8(
    path: str | Path,
    encoder: SpeakerEncoder,
    facts: OnnxFacts,
    calibration: Sequence[torch.Tensor],
    speech: Sequence[torch.Tensor] = (),
    keep_float: Sequence[str] | None = None,
    opset: int = INT8_OPSET,
) -> Path:
    """Writes ``waveform [batch, samples]`` to ``embedding [batch, dim]``, the
    encoder's layers in int8.

    Static quantisation: each layer's input and output have a fixed range,
    found on speech; each output channel of a weight has its own. Features,
    their normalisation, batch normalisation, pooling and L2 norm stay float,
    and so do the layers that a sweep finds to hurt, their weights kept in
    int8. The file is compared with PyTorch before it gets its name; if
    anything fails, what stood there before still stands.

    Arguments
    ---------
    path : str | Path
        The ``.onnx`` file to write.
    encoder : SpeakerEncoder
        SpeechBrain's modules on the CPU, in evaluation.
    facts : OnnxFacts
        What the file tells of itself.
    calibration : Sequence[torch.Tensor]
        Training audio, each [samples]; see ``training_audio``. A fifth of it
        is held apart, to measure on.
    speech : Sequence[torch.Tensor]
        Speech, each [samples], to compare on beside what is held apart.
    keep_float : Sequence[str] | None
        Names of the layers that stay float; None to find them.
    opset : int
        Version of ONNX's operators, at least 13.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ValueError
        If the model cannot be written, there is too little audio, or the file
        gives other embeddings than PyTorch: a cosine below 0.98 on speech.
    """
    path = onnx_path(path)
    ranged, apart = held_apart(calibration)
    # Short utterances too: their embeddings suffer more.
    apart += [_middle(wav, facts.sample_rate) for wav in apart]
    with atomic_path(path) as part:
        model, dimension = encoder_graph(
            encoder, facts.sample_rate, max(opset, INT8_OPSET), part
        )
        kept = _quantise(model, ranged, apart, keep_float)
        said = {
            "weights": "int8",
            "arithmetic": "int8",
            "float_layers": json.dumps(kept),
        }
        write_graph(model, facts.properties(dimension) | said, part)
        check_onnx(
            part,
            encoder,
            facts.sample_rate,
            [*apart, *speech],
            LEAST_COSINE,
            LEAST_OF_NOISE,
        )
    logger.info("exported to %s", path)
    return path


def _quantise(
    model: "onnx.ModelProto",
    ranged: Sequence[torch.Tensor],
    apart: Sequence[torch.Tensor],
    keep_float: Sequence[str] | None,
) -> list[str]:
    """Quantises a graph, in place; the layers that stay float."""
    layers = find_layers(model)
    ranged, apart = (
        [wav.detach().float().cpu().flatten().numpy() for wav in wavs]
        for wavs in (ranged, apart)
    )
    ranges = find_ranges(model, ranged)
    if keep_float is None:
        kept, _ = choose_float(model, ranges, layers, apart)
    else:
        kept = list(keep_float)
    rest = without(layers, kept)
    if not rest:
        raise ValueError(
            "no layer can be quantised: all stay float, of "
            f"{', '.join(layers) or 'none'}; expected at least one"
        )
    model.CopyFrom(quantised(model, ranges, rest))
    tidy(model)
    weights_to_int8(model)
    return kept


def _middle(wav: torch.Tensor, samples: int) -> torch.Tensor:
    """So many samples from the middle of an utterance, or all."""
    return wav[max(0, len(wav) - samples) // 2 :][:samples]
