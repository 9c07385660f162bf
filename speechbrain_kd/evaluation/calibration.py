"""Scores to likelihood ratios, by a line that is learnt from another list.

Reference
---------
Brümmer & du Preez, "Application-independent evaluation of speaker detection",
Computer Speech and Language 20, 2006 (prior-weighted logistic regression).
Thienpondt, Desplanques & Demuynck, "The IDLab VoxSRC-20 submission", ICASSP
2021 (quality measures: duration, norm of the embedding).
"""

import logging
from collections.abc import Mapping, Sequence

import numpy as np
from sklearn.linear_model import LogisticRegression

from speechbrain_kd.evaluation.likelihood import bayes_threshold

logger = logging.getLogger(__name__)

#: Weak enough to leave the line alone, and to end where classes do not overlap.
_INVERSE_PENALTY = 1000.0


class LinearCalibration:
    """Log-likelihood ratios as a weighted sum of score and quality measures.

    Arguments
    ---------
    weights : Sequence[float]
        Of the score, then of each quality measure.
    offset : float
        What is added.
    quality_names : Sequence[str]
        Of the quality measures, in order.

    Example
    -------
    >>> calibration = LinearCalibration([10.0], -3.0)
    >>> calibration.llr(np.array([0.3, 0.5])).tolist()
    [0.0, 2.0]
    >>> calibration.threshold(0.5)
    0.3
    """

    def __init__(
        self,
        weights: Sequence[float],
        offset: float,
        quality_names: Sequence[str] = (),
    ) -> None:
        self.weights = np.asarray(weights, dtype=np.float64)
        self.offset = float(offset)
        self.quality_names = tuple(map(str, quality_names))
        if self.weights.shape != (1 + len(self.quality_names),):
            raise ValueError(
                f"expected {1 + len(self.quality_names)} weights, of the score "
                f"and {list(self.quality_names)}, got {self.weights.tolist()}"
            )
        if not np.isfinite([*self.weights, self.offset]).all():
            raise ValueError(
                "expected finite weights and offset, got "
                f"{self.weights.tolist()} and {self.offset}"
            )

    @classmethod
    def fit(
        cls,
        scores: np.ndarray,
        labels: np.ndarray,
        quality: np.ndarray | None = None,
        p_target: float = 0.01,
        quality_names: Sequence[str] = (),
    ) -> "LinearCalibration":
        """Learns the line by prior-weighted logistic regression.

        Arguments
        ---------
        scores : np.ndarray
            One a trial, [trials].
        labels : np.ndarray
            True for a target trial, [trials].
        quality : np.ndarray | None
            Quality measures, [trials, measures].
        p_target : float
            Prior of a target trial at which the line should fit best.
        quality_names : Sequence[str]
            Names of the measures; numbers by default.

        Returns
        -------
        LinearCalibration
            A warning is logged where higher scores do not mean more alike.

        Raises
        ------
        ValueError
            If shapes do not fit, a value is not finite, a class has no trial
            or all scores are equal.
        """
        prior = -bayes_threshold(p_target)
        inputs = _stack(scores, quality)
        labels = np.asarray(labels, dtype=bool).ravel()
        targets = int(labels.sum())
        if labels.size != len(inputs) or targets in (0, labels.size):
            raise ValueError(
                "calibration needs a label a score and trials of both classes, "
                f"got {len(inputs)} scores and {labels.size} labels, "
                f"{targets} of them targets"
            )
        mean, scale = inputs.mean(0), inputs.std(0)
        if scale[0] == 0:
            raise ValueError("all scores are equal: no line can be learnt")
        scale[scale == 0] = 1
        each = np.array([(1 - p_target) / (labels.size - targets)])
        each = np.append(each, p_target / targets) * labels.size
        model = LogisticRegression(C=_INVERSE_PENALTY, tol=1e-8, max_iter=1000)
        model.fit(
            (inputs - mean) / scale, labels, each[labels.astype(np.int64)]
        )
        weights = model.coef_[0] / scale
        offset = model.intercept_[0] - weights @ mean - prior
        if weights[0] <= 0:
            logger.warning(
                "The calibration says that higher scores mean less alike "
                "(slope %.3g): look at the labels of its trials",
                weights[0],
            )
        names = quality_names or map(str, range(1, inputs.shape[1]))
        return cls(weights, offset, tuple(names))

    def llr(
        self, scores: np.ndarray, quality: np.ndarray | None = None
    ) -> np.ndarray:
        """Natural-log likelihood ratios.

        Arguments
        ---------
        scores : np.ndarray
            One a trial, [trials].
        quality : np.ndarray | None
            The measures that it was learnt with, [trials, measures].

        Returns
        -------
        np.ndarray
            float64, [trials].

        Raises
        ------
        ValueError
            If the measures are not as many as it was learnt with.
        """
        inputs = _stack(scores, quality)
        if inputs.shape[1] != self.weights.size:
            raise ValueError(
                f"this calibration takes the quality measures "
                f"{list(self.quality_names)}, got {inputs.shape[1] - 1}"
            )
        return inputs @ self.weights + self.offset

    def threshold(
        self, p_target: float, c_miss: float = 1.0, c_fa: float = 1.0
    ) -> float:
        """The score from which to accept at an operating point.

        Arguments
        ---------
        p_target : float
            Prior probability of a target trial, between 0 and 1.
        c_miss : float
            Cost of a miss.
        c_fa : float
            Cost of a false alarm.

        Returns
        -------
        float
            Accept when ``score >= threshold``.

        Raises
        ------
        ValueError
            If the threshold depends on quality measures, or the slope is not
            positive.
        """
        if self.quality_names or self.weights[0] <= 0:
            raise ValueError(
                "only a calibration of a positive slope and without quality "
                f"measures has one threshold, got {self.to_dict()}"
            )
        wanted = bayes_threshold(p_target, c_miss, c_fa)
        return float((wanted - self.offset) / self.weights[0])

    def to_dict(self) -> dict:
        """The line, for JSON; `from_dict` takes it."""
        return {
            "weights": self.weights.tolist(),
            "offset": self.offset,
            "quality_names": list(self.quality_names),
        }

    @classmethod
    def from_dict(cls, content: Mapping) -> "LinearCalibration":
        """Makes it of what ``to_dict`` gave; other keys are left alone."""
        try:
            return cls(
                content["weights"],
                content["offset"],
                content.get("quality_names", ()),
            )
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(
                "expected a calibration with weights, offset and "
                f"quality_names, got {content!r} ({error!r})"
            ) from None


def _stack(scores: np.ndarray, quality: np.ndarray | None) -> np.ndarray:
    """Scores and quality measures side by side, [trials, 1 + measures]."""
    columns = [np.asarray(scores, dtype=np.float64).reshape(-1, 1)]
    if quality is not None:
        quality = np.asarray(quality, dtype=np.float64)
        if quality.ndim != 2 or len(quality) != len(columns[0]):
            raise ValueError(
                f"expected quality measures [{len(columns[0])}, measures], "
                f"got shape {list(quality.shape)}"
            )
        columns.append(quality)
    inputs = np.concatenate(columns, axis=1)
    broken = int((~np.isfinite(inputs)).any(1).sum())
    if broken:
        raise ValueError(
            f"{broken} of {len(inputs)} trials have a score or quality measure "
            "that is NaN or infinite"
        )
    return inputs
