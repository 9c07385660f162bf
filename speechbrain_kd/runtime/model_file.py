"""An exported ONNX file, opened, and what its metadata says."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnxruntime

#: What such a file is known by.
FORMAT = "speechbrain_kd.speaker/1"


@dataclass(frozen=True)
class ModelFacts:
    """What an exported file says of itself.

    Arguments
    ---------
    name : str
        What the model is called.
    digest : str
        SHA-256 of the file.
    sample_rate : int
        In Hz.
    dimension : int
        Of an embedding.
    shortest_s, longest_s : float
        Lengths of one run, in seconds.
    threshold : float | None
        Cosine to accept from (at the EER); None if not calibrated.
    slope, offset : float | None
        Of the line from cosine to natural-log likelihood ratio; None if not
        calibrated, or if the line does not rise.
    metadata : Mapping[str, str]
        All that the file says, as it says it.
    """

    name: str
    digest: str
    sample_rate: int
    dimension: int
    shortest_s: float
    longest_s: float
    threshold: float | None
    slope: float | None
    offset: float | None
    metadata: Mapping[str, str]


def open_model(
    path: str | Path, threads: int
) -> tuple["onnxruntime.InferenceSession", ModelFacts]:
    """Opens a file.

    Arguments
    ---------
    path : str | Path
        What ``speechbrain-kd export --to onnx`` wrote.
    threads : int
        Of onnxruntime, within an operator.

    Returns
    -------
    tuple[onnxruntime.InferenceSession, ModelFacts]
        What runs, and what is known.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ImportError
        If there is no onnxruntime.
    ValueError
        If it is no such model.
    """
    # Here, so that what needs no model starts at once.
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError(
            "a model needs onnxruntime: pip install 'speechbrain_kd[runtime]' "
            f"({error})"
        ) from error

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no model {path}: expected the file that `speechbrain-kd "
            "export RUN --to onnx --output FILE` writes"
        )
    content = path.read_bytes()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # what fails is raised
    # A plan for each length would be a block as large as all its layers.
    options.enable_mem_pattern = False
    try:
        session = onnxruntime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime's have no common base
        raise ValueError(
            f"{path} is no ONNX model that onnxruntime "
            f"{onnxruntime.__version__} runs: {str(error).splitlines()[0]}"
        ) from error
    names = [
        [node.name for node in nodes]
        for nodes in (session.get_inputs(), session.get_outputs())
    ]
    if names != [["waveform"], ["embedding"]]:
        raise ValueError(
            f"{path} is no model for this runtime: expected the input waveform "
            f"and the output embedding, came {names[0]} and {names[1]}"
        )
    metadata = session.get_modelmeta().custom_metadata_map
    digest = hashlib.sha256(content).hexdigest()
    return session, _facts(metadata, digest, path)


def _facts(metadata: Mapping[str, str], digest: str, path: Path) -> ModelFacts:
    """Reads the metadata."""
    if metadata.get("format") != FORMAT:
        raise ValueError(
            f"{path} is no model for this runtime: expected its metadata to "
            f"say format {FORMAT}, came {metadata.get('format')!r}. Write it "
            "with `speechbrain-kd export RUN --to onnx --output FILE`"
        )
    slope, offset = _line(metadata, path)
    rising = slope is not None and slope > 0
    return ModelFacts(
        name=metadata.get("name", path.stem),
        digest=digest,
        sample_rate=int(_number(metadata, "sample_rate", path)),
        dimension=int(_number(metadata, "dimension", path)),
        shortest_s=_number(metadata, "shortest_s", path),
        longest_s=_number(metadata, "longest_s", path),
        threshold=(
            _number(metadata, "threshold", path, positive=False)
            if "threshold" in metadata
            else None
        ),
        slope=slope if rising else None,
        offset=offset if rising else None,
        metadata=dict(metadata),
    )


def _line(
    metadata: Mapping[str, str], path: Path
) -> tuple[float | None, float | None]:
    """Slope and offset of the calibration, where there is one."""
    if "calibration" not in metadata:
        return None, None
    try:
        line = json.loads(metadata["calibration"])["calibration"]
        (slope,) = line["weights"]
        slope, offset = float(slope), float(line["offset"])
    except (KeyError, RecursionError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path}: its calibration is no line of one weight and an offset "
            f"({error!r})"
        ) from error
    if not (math.isfinite(slope) and math.isfinite(offset)):
        raise ValueError(
            f"{path}: its calibration is no line of finite numbers: slope "
            f"{slope}, offset {offset}"
        )
    return slope, offset


def _number(
    metadata: Mapping[str, str], key: str, path: Path, positive: bool = True
) -> float:
    """A number of the metadata."""
    try:
        value = float(json.loads(metadata.get(key, "")))
    except (RecursionError, TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value) or (positive and value <= 0):
        raise ValueError(
            f"{path}: expected a {'positive' if positive else 'finite'} number "
            f"for {key} in its metadata, came {metadata.get(key)!r}"
        )
    return value
