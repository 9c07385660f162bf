"""What was found of several systems; page and tables compute nothing anew."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from speechbrain_kd.evaluation.certainty import Interval
    from speechbrain_kd.evaluation.seen import Exposures
    from speechbrain_kd.evaluation.where import Breakdown

#: Scores [trials], float32, of each system on each list: list, then system.
Scored = dict[str, dict[str, np.ndarray]]


@dataclass
class SystemFacts:
    """What a system is and costs, whatever it is tested on.

    Arguments
    ---------
    name : str
        What tables call it.
    source : str
        Where it came from.
    params : int | None
        Parameters of the encoder; None where they cannot be counted.
    gmac : float | None
        1e9 multiply-adds from the features of 2 s of speech to the embedding.
    bytes : int | None
        Size of the float32 state as saved, or of an ONNX file.
    ms_per_second : float | None
        Milliseconds for a second of speech, waveform to embedding, on one
        thread of the CPU.
    dim : int
        Size of an embedding.
    fingerprint : str
        SHA-256 that tells it from any other model.
    trained_on : list[str]
        Its training corpora; empty where nobody says.
    run_folder : str | None
        The run that made it, if known, with its ``train_log.txt``.
    """

    name: str
    source: str
    params: int | None
    gmac: float | None
    bytes: int | None
    ms_per_second: float | None
    dim: int
    fingerprint: str
    trained_on: list[str] = field(default_factory=list)
    run_folder: str | None = None


@dataclass
class ListResult:
    """Error rates of one system on one list; all rates are 0 to 1.

    Arguments
    ---------
    trials, target_trials, impostor_trials : int
        Number of trials, of all and of each kind.
    speakers : int
        Speakers of the utterances in the list.
    eer : float
        Equal error rate.
    eer_interval : Interval | None
        Its interval, by resampled speakers; None where not asked for.
    rocch_eer : float
        Equal error rate on the convex hull of the ROC.
    min_dcf : dict[float, float]
        Normalised minimum detection cost by target prior.
    min_dcf_interval : Interval | None
        Interval of the cost at the first prior.
    act_dcf : dict[float, float] | None
        Normalised detection cost at Bayes' threshold of the calibrated
        scores, by target prior; None without a calibration.
    cllr : float | None
        Cost of the calibrated log-likelihood ratios, in bits.
    min_cllr : float
        The same after the best monotone calibration of this very list.
    tmr : dict[float, float]
        True match rate by false match rate.
    auc : float
        Area under the ROC.
    threshold : float
        Threshold at the EER: accept when ``score >= threshold``.
    """

    trials: int
    target_trials: int
    impostor_trials: int
    speakers: int
    eer: float
    eer_interval: Interval | None
    rocch_eer: float
    min_dcf: dict[float, float]
    min_dcf_interval: Interval | None
    act_dcf: dict[float, float] | None
    cllr: float | None
    min_cllr: float
    tmr: dict[float, float]
    auc: float
    threshold: float


@dataclass
class PairedTest:
    """A system against the reference on the same trials and speakers.

    Arguments
    ---------
    list : str
        Name of the trial list.
    system, reference : str
        Names of the two.
    statistic : str
        ``"eer"`` or ``"min_dcf"``.
    value : float
        The system's minus the reference's: negative where it is better.
    low, high : float
        Interval of the difference.
    p_value : float
        Of the hypothesis that there is none.
    significant : bool
        Whether the interval leaves out 0; otherwise the difference is within
        the noise.
    """

    list: str
    system: str
    reference: str
    statistic: str
    value: float
    low: float
    high: float
    p_value: float
    significant: bool


@dataclass
class CrossMatrix:
    """Equal error rates where one system enrols and another verifies.

    Arguments
    ---------
    list : str
        Name of the trial list.
    systems : list[str]
        Names, of rows and columns.
    eer : dict[str, dict[str, float]]
        By the system that enrols, then by the one that verifies. A pair that
        is absent was skipped.
    skipped : list[str]
        Pairs whose embeddings differ in size, a sentence each.
    mapped : bool
        Whether enrolments were mapped into the space of the other.
    """

    list: str
    systems: list[str]
    eer: dict[str, dict[str, float]]
    skipped: list[str] = field(default_factory=list)
    mapped: bool = False


@dataclass
class Evaluation:
    """All that one ``evaluate`` found.

    Arguments
    ---------
    systems : list[SystemFacts]
        The systems, the reference first.
    lists : list[str]
        Names of the trial lists, in the order given.
    results : dict[str, dict[str, ListResult]]
        By list, then by system.
    differences : list[PairedTest]
        Every other system against the reference.
    cross : list[CrossMatrix]
        One a list, where asked for.
    where : list[Breakdown]
        Error rates by duration, noise and columns; empty where not asked for.
    notes : list[str]
        How the numbers were made, a sentence each.
    machine : str
        It was measured on.
    level : float
        Of the intervals, such as 0.95.
    seen : Exposures
        What each system has met of the speakers of each list.

    Example
    -------
    >>> facts = SystemFacts("a", "a.onnx", None, None, 9, None, 2, "ab")
    >>> found = Evaluation([facts], ["O"], {"O": {}})
    >>> found.to_dict()["systems"][0]["bytes"]
    9
    """

    systems: list[SystemFacts]
    lists: list[str]
    results: dict[str, dict[str, ListResult]]
    differences: list[PairedTest] = field(default_factory=list)
    cross: list[CrossMatrix] = field(default_factory=list)
    where: list[Breakdown] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    machine: str = ""
    level: float = 0.95
    seen: Exposures = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The evaluation in what JSON knows: keys are strings, NaN is None."""
        return plain(dataclasses.asdict(self))


def plain(value: Any) -> Any:
    """Turns values into what JSON knows.

    Arguments
    ---------
    value : Any
        Dictionaries, sequences, NumPy scalars and plain values.

    Returns
    -------
    Any
        The same with keys as strings, numbers of Python, and None for what
        is not finite.

    Example
    -------
    >>> plain({0.01: (np.float32(0.5), float("nan"))})
    {'0.01': [0.5, None]}
    """
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, (np.generic, np.ndarray)):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
