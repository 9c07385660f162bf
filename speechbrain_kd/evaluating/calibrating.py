"""Calibration of systems, on another list or as their exports have it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from speechbrain_kd.data.audio import audio_info
from speechbrain_kd.evaluating.scoring import Scoring
from speechbrain_kd.evaluating.systems import System
from speechbrain_kd.evaluation.calibration import LinearCalibration
from speechbrain_kd.evaluation.quality import QUALITIES, trial_quality
from speechbrain_kd.evaluation.trials import TrialList
from speechbrain_kd.model_sources import export_folder


@dataclass(frozen=True)
class Calibrated:
    """The calibration of a system and what it takes beside scores.

    Arguments
    ---------
    calibration : LinearCalibration
        Made on other trials.
    kinds : tuple[str, ...]
        Its quality measures, keys of ``QUALITIES``.
    """

    calibration: LinearCalibration
    kinds: tuple[str, ...] = ()

    def llr(
        self,
        system: System,
        scores: np.ndarray,
        trials: TrialList,
        files: Mapping[str, Path],
    ) -> np.ndarray:
        """Log-likelihood ratios of a list, [trials]."""
        quality = quality_of(system, trials, self.kinds, files)
        return self.calibration.llr(scores, quality)


def calibrate(
    system: System,
    trials: TrialList,
    scoring: Scoring,
    p_target: float,
    kinds: Sequence[str],
    files: Mapping[str, Path],
) -> Calibrated:
    """Calibrates a system on a list of other trials than are tested.

    Arguments
    ---------
    system : System
        The system, embedded.
    trials : TrialList
        The trials to calibrate on.
    scoring : Scoring
        How scores are made.
    p_target : float
        The prior to calibrate for.
    kinds : Sequence[str]
        Quality measures, keys of ``QUALITIES``.
    files : Mapping[str, Path]
        The file of each utterance.

    Returns
    -------
    Calibrated
        The calibration.
    """
    made = LinearCalibration.fit(
        system.score(trials, scoring),
        trials.labels,
        quality_of(system, trials, kinds, files),
        p_target,
        [name for kind in kinds for name in QUALITIES[kind]],
    )
    return Calibrated(made, tuple(kinds))


def exported_calibration(system: System, scoring: Scoring) -> Calibrated | None:
    """Reads the ``calibration.json`` of an export, one of plain cosines.

    Arguments
    ---------
    system : System
        The system.
    scoring : Scoring
        How scores are made.

    Returns
    -------
    Calibrated | None
        None where there is none, or scores are others than it was made for.

    Raises
    ------
    ValueError
        If it cannot be read.
    """
    folder = export_folder(system.model)
    path = None if folder is None else folder / "calibration.json"
    if path is None or not path.is_file() or scoring != Scoring():
        return None
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        values = values.get("calibration", values)
        made = LinearCalibration.from_dict(values)
    except (ValueError, AttributeError) as error:
        raise ValueError(f"{path}: {error}") from error
    kinds = [
        kind
        for kind, names in QUALITIES.items()
        if set(names) & set(made.quality_names)
    ]
    expected = tuple(name for kind in kinds for name in QUALITIES[kind])
    if made.quality_names != expected:
        raise ValueError(
            f"{path}: expected quality measures in the order of {QUALITIES}, "
            f"got {made.quality_names}"
        )
    return Calibrated(made, tuple(kinds))


def quality_of(
    system: System,
    trials: TrialList,
    kinds: Sequence[str],
    files: Mapping[str, Path],
) -> np.ndarray | None:
    """Measures how far the scores of a list can be trusted.

    Arguments
    ---------
    system : System
        The system, whose embeddings have a norm.
    trials : TrialList
        The trials.
    kinds : Sequence[str]
        Keys of ``QUALITIES``.
    files : Mapping[str, Path]
        The file of each utterance.

    Returns
    -------
    np.ndarray | None
        [trials, measures]; None without any.
    """
    found = {}
    for kind in kinds:
        if kind == "duration":
            join = np.sum
            values = {
                name: audio_info(files[name]).duration_s
                for name in trials.recordings
            }
        else:
            join = np.mean
            values = {
                name: np.linalg.norm(system.rows[system.places[name]])
                for name in trials.recordings
            }
        found[kind] = np.array(
            [
                join([values[one] for one in trials.models.get(name, (name,))])
                for name in trials.utterances
            ]
        )
    return trial_quality(found, trials)
