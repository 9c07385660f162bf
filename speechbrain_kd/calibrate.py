"""The calibration that an exported model brings along."""

import logging
from dataclasses import dataclass

import numpy as np
import torch

from speechbrain_kd.assess import HeldOut
from speechbrain_kd.data.audio import audio_info
from speechbrain_kd.evaluation.calibration import LinearCalibration
from speechbrain_kd.evaluation.embed import embed_files
from speechbrain_kd.evaluation.metrics import eer_threshold
from speechbrain_kd.evaluation.quality import QUALITIES, trial_quality
from speechbrain_kd.evaluation.scoring import cosine_scores

logger = logging.getLogger(__name__)

#: Priors of a target trial for which a threshold is stated, costs 1 and 1.
OPERATING_POINTS = (0.01, 0.05, 0.5)

#: The prior that the lines fit best.
_P_TARGET = 0.05

MADE_ON = "trials among held-out utterances of training speakers"


@dataclass(frozen=True)
class Calibration:
    """Thresholds and likelihood ratios of cosine scores.

    Arguments
    ---------
    threshold : float
        At the EER: accept at this cosine or above.
    target_trials, impostor_trials : int
        What it was made on.
    line : LinearCalibration
        Of the score alone.
    with_quality : LinearCalibration
        Of score, durations and norms of the embeddings.
    """

    threshold: float
    target_trials: int
    impostor_trials: int
    line: LinearCalibration
    with_quality: LinearCalibration

    def thresholds(self) -> dict[float, float]:
        """Cosine to accept from, by prior of a target trial; costs are 1.

        Empty where higher scores do not mean more alike.
        """
        if self.line.weights[0] <= 0:
            return {}
        return {p: self.line.threshold(p) for p in OPERATING_POINTS}

    def to_dict(self) -> dict:
        """What ``calibration.json`` holds."""
        return {
            "score": "cosine",
            "made_on": MADE_ON,
            "target_trials": self.target_trials,
            "impostor_trials": self.impostor_trials,
            "eer_threshold": self.threshold,
            "thresholds": [
                {"p_target": p, "c_miss": 1, "c_fa": 1, "threshold": threshold}
                for p, threshold in self.thresholds().items()
            ],
            "calibration": self.line.to_dict(),
            "with_quality": self.with_quality.to_dict(),
        }


def calibrate(
    encoder: torch.nn.Module, held: HeldOut, device: str
) -> Calibration | None:
    """Calibrates on trials among the validation utterances.

    They are of training speakers, so thresholds lean to the high side for
    strangers. In a distributed run all ranks call this.

    Arguments
    ---------
    encoder : torch.nn.Module
        Waveforms [batch, samples] to embeddings.
    held : HeldOut
        As ``held_out`` gives it.
    device : str
        Where to compute.

    Returns
    -------
    Calibration | None
        ``None`` where the validation utterances make no trials, or all their
        scores are one.
    """
    trials = held.trials
    if trials is None:
        logger.warning(
            "The threshold is not calibrated: no speaker has two validation "
            "utterances (change split_ratio)"
        )
        return None
    files = {name: held.files[name] for name in trials.utterances}
    _, embeddings = embed_files(encoder, files, device, divide=True)
    scores = cosine_scores(embeddings, trials)
    if np.ptp(scores) == 0:
        logger.warning("Nothing is calibrated: all scores are %g", scores[0])
        return None
    values = {
        "duration": [audio_info(file).duration_s for file in files.values()],
        "magnitude": embeddings.norm(dim=1),
    }
    quality = trial_quality(
        {kind: np.asarray(each) for kind, each in values.items()}, trials
    )
    names = [name for pair in QUALITIES.values() for name in pair]
    fit = LinearCalibration.fit
    return Calibration(
        eer_threshold(*trials.split(scores))[1],
        int(trials.labels.sum()),
        int((~trials.labels).sum()),
        fit(scores, trials.labels, p_target=_P_TARGET),
        fit(scores, trials.labels, quality, _P_TARGET, names),
    )
