"""A speaker model as one ONNX graph, from waveform to unit-norm embedding."""

import io
import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from speechbrain_kd.atomic import atomic_path
from speechbrain_kd.export.onnx_encoder import WaveformEncoder
from speechbrain_kd.export.onnx_facts import OnnxFacts
from speechbrain_kd.export.onnx_parity import LEAST_COSINE, check_onnx
from speechbrain_kd.export.onnx_weights import (
    INT8_OPSET,
    shorten_names,
    weights_to_float16,
    weights_to_int8,
)
from speechbrain_kd.students.encoder import SpeakerEncoder

if TYPE_CHECKING:
    import onnx

logger = logging.getLogger(__name__)

#: The oldest that works: below it, slices cannot depend on the input's length.
OPSET = 10
#: How weights may be kept: what changes a graph, the oldest opset for it, and
#: the least cosine of an embedding with PyTorch's float one.
WEIGHTS = {
    "float32": (None, OPSET, LEAST_COSINE),
    "float16": (weights_to_float16, OPSET, LEAST_COSINE),
    "int8": (weights_to_int8, INT8_OPSET, 0.999),
}


def export_onnx(
    path: str | Path,
    encoder: SpeakerEncoder,
    facts: OnnxFacts,
    waveforms: Sequence[torch.Tensor] = (),
    opset: int = OPSET,
    weights: str = "float32",
) -> Path:
    """Writes ``waveform [batch, samples]`` to ``embedding [batch, dim]``.

    One graph of ONNX's own operators in fp32, of any batch and length: log mel
    features by matrix products, normalisation, encoder and L2 norm. The file
    is compared with PyTorch before it gets its name; if anything fails, what
    stood there before still stands.

    Arguments
    ---------
    path : str | Path
        The ``.onnx`` file to write.
    encoder : SpeakerEncoder
        SpeechBrain's modules on the CPU, in evaluation.
    facts : OnnxFacts
        What the file tells of itself.
    waveforms : Sequence[torch.Tensor]
        Speech, each [samples], to compare on beside noise.
    opset : int
        Version of ONNX's operators, at least 10; at least 13 with int8.
    weights : str
        ``float32``; or ``float16``, or ``int8`` with a scale for each output
        channel, from which a device takes them back to fp32 as it loads.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ValueError
        If the features are none that this reproduces, the encoder cannot be
        traced, or the file gives other embeddings than PyTorch.
    """
    if weights not in WEIGHTS:
        raise ValueError(
            f"weights: expected one of {', '.join(WEIGHTS)}, came {weights!r}"
        )
    change, oldest, least = WEIGHTS[weights]
    path = onnx_path(path)
    with atomic_path(path) as part:
        model, dimension = encoder_graph(
            encoder, facts.sample_rate, max(opset, oldest), part
        )
        if change is not None:
            change(model)
        write_graph(
            model, facts.properties(dimension) | {"weights": weights}, part
        )
        check_onnx(part, encoder, facts.sample_rate, waveforms, least)
    logger.info("exported to %s", path)
    return path


def onnx_path(path: str | Path) -> Path:
    """The name of a file to write.

    Raises
    ------
    ValueError
        If it does not end in ``.onnx``, or is a folder.

    Example
    -------
    >>> onnx_path("student.bin")
    Traceback (most recent call last):
    ...
    ValueError: student.bin: expected the name of a file, NAME.onnx
    """
    path = Path(path)
    if path.suffix != ".onnx" or path.is_dir():
        raise ValueError(f"{path}: expected the name of a file, NAME.onnx")
    return path


def encoder_graph(
    encoder: SpeakerEncoder, sample_rate: int, opset: int, scratch: Path
) -> tuple["onnx.ModelProto", int]:
    """The graph of a model, constants computed, names as PyTorch has them.

    Arguments
    ---------
    encoder : SpeakerEncoder
        SpeechBrain's modules on the CPU, in evaluation.
    sample_rate : int
        Of the waveforms, in Hz.
    opset : int
        Version of ONNX's operators.
    scratch : Path
        A file that may be written.

    Returns
    -------
    tuple[onnx.ModelProto, int]
        The graph, and the dimension of an embedding.
    """
    graph = WaveformEncoder(
        encoder.compute_features, encoder.mean_var_norm, encoder.embedding_model
    )
    dimension = graph(torch.zeros(1, sample_rate)).shape[1]
    _fold(_traced(graph, sample_rate, opset), scratch)
    return _own_operators(scratch), dimension


def _traced(graph: WaveformEncoder, sample_rate: int, opset: int) -> bytes:
    """The graph as torch traces it."""
    example = torch.zeros(2, sample_rate)
    axes = {"waveform": {0: "batch", 1: "samples"}, "embedding": {0: "batch"}}
    stream = io.BytesIO()
    try:
        with warnings.catch_warnings():
            # Of traced lengths: the comparison at others is what tells.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                graph,
                (example,),
                stream,
                # The other exporter knows opset 18 and later alone.
                dynamo=False,
                opset_version=opset,
                input_names=["waveform"],
                output_names=["embedding"],
                dynamic_axes=axes,
            )
    except ImportError as error:
        raise ImportError(
            f"the export needs onnx: pip install 'speechbrain_kd[onnx]' "
            f"({error})"
        ) from error
    except (RuntimeError, ValueError) as error:
        raise ValueError(
            f"{type(graph.encoder).__name__} cannot be written in ONNX opset "
            f"{opset}: {str(error).splitlines()[0]}"
        ) from error
    return stream.getvalue()


def _fold(traced: bytes, part: Path) -> None:
    """Lets onnxruntime compute what is constant, which torch leaves as nodes.

    At this level it stays within ONNX's own operators.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError(
            "the export needs onnxruntime: pip install 'speechbrain_kd[onnx]'"
        ) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what fails is raised
    options.intra_op_num_threads = 1
    options.graph_optimization_level = (
        onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    )
    options.optimized_model_filepath = str(part)
    onnxruntime.InferenceSession(
        traced, options, providers=["CPUExecutionProvider"]
    )


def _own_operators(path: Path) -> "onnx.ModelProto":
    """Reads a graph, which must be of ONNX's operators alone."""
    import onnx

    model = onnx.load(str(path))
    foreign = sorted({node.domain for node in model.graph.node} - {""})
    if foreign:
        raise ValueError(
            "the graph has operators beyond ONNX's own, of "
            f"{', '.join(foreign)}: other runtimes would refuse it"
        )
    own = [one.version for one in model.opset_import if not one.domain]
    del model.opset_import[:]
    model.opset_import.append(onnx.helper.make_opsetid("", own[0]))
    return model


def write_graph(
    model: "onnx.ModelProto", properties: Mapping[str, str], path: Path
) -> None:
    """Adds the facts, takes away what a device does not need, and writes.

    Arguments
    ---------
    model : onnx.ModelProto
        The graph; its names are shortened.
    properties : Mapping[str, str]
        Its metadata.
    path : Path
        The file.
    """
    import onnx

    shorten_names(model)
    model.producer_name = "speechbrain_kd"
    model.producer_version = properties["speechbrain_kd"]
    model.graph.name = "waveform_to_embedding"
    onnx.helper.set_model_props(model, dict(properties))
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))
