"""Which layers of a model cannot be quantised without harm."""

import logging
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from speechbrain_kd.export.int8_layers import Layer, quantised

if TYPE_CHECKING:
    import onnx

logger = logging.getLogger(__name__)

#: Mean cosine with float that a layer alone must keep, else it stays float.
LEAST_ALONE = 0.999
#: Cosine that every utterance must keep with all quantised layers together.
LEAST_TOGETHER = 0.985
# The worst layers go back to float a sixteenth of all at a time.
_STEPS = 16


def choose_float(
    model: "onnx.ModelProto",
    ranges: Mapping[str, Any],
    layers: Mapping[str, Layer],
    apart: Sequence[np.ndarray],
    alone: float = LEAST_ALONE,
    together: float = LEAST_TOGETHER,
) -> tuple[list[str], dict[str, float]]:
    """Finds the layers that stay float.

    Each layer is quantised alone, and embeddings are compared with those of
    the float graph. What falls below ``alone`` in the mean stays float; then,
    of the rest, the worst ones, until with all that are quantised together
    each utterance keeps ``together``.

    Arguments
    ---------
    model : onnx.ModelProto
        The float graph.
    ranges : Mapping[str, Any]
        As ``find_ranges`` gives them.
    layers : Mapping[str, Layer]
        All that can be quantised.
    apart : Sequence[np.ndarray]
        Speech that the ranges do not come from, each [samples].
    alone, together : float
        Cosines with float.

    Returns
    -------
    tuple[list[str], dict[str, float]]
        Names of the layers that stay float, the worst first; and by layer its
        mean cosine alone, the worst first.
    """
    expected = embed(model, apart)
    cosines = {
        name: float(
            _cosines(quantised(model, ranges, [layer]), apart, expected).mean()
        )
        for name, layer in layers.items()
    }
    cosines = dict(sorted(cosines.items(), key=lambda pair: pair[1]))
    kept = [name for name, cosine in cosines.items() if not cosine >= alone]
    while rest := without(layers, kept):
        graph = quantised(model, ranges, rest)
        if _cosines(graph, apart, expected).min() >= together:
            break
        left = [name for name in cosines if name not in kept]
        kept += left[: -(-len(layers) // _STEPS)]
    logger.info(
        "%d of %d layers in int8; alone, the worst of them has a cosine of "
        "%.6f with float%s",
        len(layers) - len(kept),
        len(layers),
        min([cosines[layer.name] for layer in rest], default=1.0),
        f"; in float: {', '.join(kept)}" if kept else "",
    )
    return kept, cosines


def without(layers: Mapping[str, Layer], names: Collection[str]) -> list[Layer]:
    """The layers of other names.

    Raises
    ------
    ValueError
        If a name is none of theirs.
    """
    unknown = [name for name in names if name not in layers]
    if unknown:
        raise ValueError(
            f"keep_float: there is no layer {unknown[0]!r}; expected some of "
            f"{', '.join(layers)}"
        )
    return [layer for name, layer in layers.items() if name not in names]


def embed(model: "onnx.ModelProto", wavs: Sequence[np.ndarray]) -> np.ndarray:
    """Embeddings of utterances, each alone, [utterances, dim].

    Arguments
    ---------
    model : onnx.ModelProto
        Waveform to embedding.
    wavs : Sequence[np.ndarray]
        Each [samples].
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what fails is raised
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, ["CPUExecutionProvider"]
    )
    return np.concatenate(
        [session.run(None, {"waveform": wav[None]})[0] for wav in wavs]
    )


def _cosines(
    model: "onnx.ModelProto", wavs: Sequence[np.ndarray], expected: np.ndarray
) -> np.ndarray:
    """Of unit embeddings with those of the float graph, [utterances]."""
    return (embed(model, wavs) * expected).sum(axis=1)
