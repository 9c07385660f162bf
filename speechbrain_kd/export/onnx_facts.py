"""What an ONNX file tells of itself, in its metadata."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

import speechbrain_kd
from speechbrain_kd.runtime.model_file import FORMAT
from speechbrain_kd.teachers.hub import MissingFileError, Source, locate
from speechbrain_kd.teachers.speechbrain import SpeechBrainTeacher

logger = logging.getLogger(__name__)

#: Lengths that one run of the graph is checked for.
SHORTEST_S, LONGEST_S = 0.3, 60.0

# Of calibration.json. The line with qualities is left out: it needs the norms
# of embeddings, and the graph gives unit norms.
_CALIBRATION = (
    *("score", "made_on", "target_trials", "impostor_trials"),
    *("eer_threshold", "thresholds", "calibration"),
)


@dataclass(frozen=True)
class OnnxFacts:
    """Facts of a model.

    Arguments
    ---------
    name : str
        What the model is called.
    sample_rate : int
        Of the waveforms, in Hz.
    calibration : Mapping[str, Any] | None
        Content of ``calibration.json``, where there is one.
    teacher_files : Mapping[str, str]
        SHA-256 of the teacher's files by name; empty where not known.
    source_files : Mapping[str, str]
        SHA-256 of the files that the model was loaded from.
    licence : str | None
        Of the weights, as a hub names it; None where not stated.
    """

    name: str
    sample_rate: int = 16000
    calibration: Mapping[str, Any] | None = None
    teacher_files: Mapping[str, str] = field(default_factory=dict)
    source_files: Mapping[str, str] = field(default_factory=dict)
    licence: str | None = None

    def properties(self, dimension: int) -> dict[str, str]:
        """The metadata, text by key; what is no text is JSON.

        Arguments
        ---------
        dimension : int
            Of an embedding.

        Returns
        -------
        dict[str, str]
            What is not known is left out.

        Example
        -------
        >>> properties = OnnxFacts("a", licence="mit").properties(192)
        >>> properties["dimension"], "threshold" in properties
        ('192', False)
        """
        calibration = self.calibration
        if calibration is not None:
            calibration = {
                key: calibration[key]
                for key in _CALIBRATION
                if key in calibration
            }
        values = {
            "format": FORMAT,
            "name": self.name,
            "speechbrain_kd": speechbrain_kd.__version__,
            "sample_rate": self.sample_rate,
            "dimension": dimension,
            "shortest_s": SHORTEST_S,
            "longest_s": LONGEST_S,
            "threshold": (calibration or {}).get("eer_threshold"),
            "calibration": calibration,
            "teacher_files": dict(self.teacher_files) or None,
            "source_files": dict(self.source_files) or None,
            "licence": self.licence,
        }
        return {
            key: value if isinstance(value, str) else json.dumps(value)
            for key, value in values.items()
            if value is not None
        }


def facts_of_model(
    model: SpeechBrainTeacher, name: str, licence: str | None = None
) -> OnnxFacts:
    """Gathers what lies beside a model.

    Arguments
    ---------
    model : SpeechBrainTeacher
        A run's, an exported folder's or a hub's.
    name : str
        What to call it.
    licence : str | None
        By default what the model card states.

    Returns
    -------
    OnnxFacts
        The facts.

    Raises
    ------
    ValueError
        If a file beside the model is none of its kind.
    """
    place = Path(model.source)
    export = place / "export"
    files = locate(str(export if export.is_dir() else place), model.revision)
    run = place if export.is_dir() else place.parent
    teacher = run / "teacher_files.json"
    known = _json(teacher) if teacher.is_file() else None
    calibration = None
    if model.projected:  # its calibration is of the student's own space
        logger.warning(
            "%s speaks in its teacher's space: the ONNX file has no threshold",
            model.source,
        )
    else:
        calibration = _fetched(files, "calibration.json")
        if calibration is None:
            logger.warning(
                "%s has no calibration.json: the ONNX file has no threshold",
                model.source,
            )
    return OnnxFacts(
        name=name,
        sample_rate=model.compute_features.compute_STFT.sample_rate,
        calibration=None if calibration is None else _json(calibration),
        teacher_files=known or {},
        source_files=model.digests,
        licence=licence or _stated_licence(_fetched(files, "README.md")),
    )


def _fetched(files: Source, name: str) -> Path | None:
    """A file of the model, or None where it has none of this name."""
    try:
        return files.fetch(name)
    except MissingFileError:
        return None


def _json(path: Path) -> dict[str, Any]:
    """Reads a JSON file that must hold an object."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no JSON: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(
            f"{path}: expected a JSON object, came {type(content).__name__}"
        )
    return content


def _stated_licence(card: Path | None) -> str | None:
    """The licence in the front matter of a model card."""
    parts = card.read_text(encoding="utf-8").split("---\n", 2) if card else []
    if len(parts) < 3 or parts[0]:
        return None
    try:
        front = yaml.safe_load(parts[1])
    except yaml.YAMLError as error:
        raise ValueError(f"{card}: its front matter is no yaml: {error}")
    licence = front.get("license") if isinstance(front, dict) else None
    return None if licence is None else str(licence)
