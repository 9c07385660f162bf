"""Evaluation of speaker verification: from files to a report.

The way of a run is: `read_trials` → `embed_files` → `score_system` →
`write_report`. `speechbrain-kd evaluate` adds normalised scores, calibration,
intervals over speakers, paired tests and a page. Everything takes tensors,
arrays and paths; nothing here knows a Brain.
"""

from speechbrain_kd.evaluation.calibration import LinearCalibration
from speechbrain_kd.evaluation.certainty import (
    Difference,
    Interval,
    paired_difference,
    speaker_bootstrap,
)
from speechbrain_kd.evaluation.cohort import Cohort
from speechbrain_kd.evaluation.cost import (
    count_macs,
    count_parameters,
    model_bytes,
    time_per_second,
)
from speechbrain_kd.evaluation.embed import embed_files
from speechbrain_kd.evaluation.likelihood import act_dcf, cllr, min_cllr
from speechbrain_kd.evaluation.metrics import (
    det_curve,
    eer,
    eer_threshold,
    min_dcf,
)
from speechbrain_kd.evaluation.normalisation import centre, normalise
from speechbrain_kd.evaluation.plots import plot_det, plot_histogram
from speechbrain_kd.evaluation.points import OperatingPoints
from speechbrain_kd.evaluation.report import markdown_table, write_report
from speechbrain_kd.evaluation.results import (
    SystemResult,
    gap_closed,
    measure,
    score_system,
    write_scores,
)
from speechbrain_kd.evaluation.scoring import cosine_scores
from speechbrain_kd.evaluation.speakers import speakers_of
from speechbrain_kd.evaluation.trials import TrialList, read_trials
from speechbrain_kd.evaluation.validation import validation_trials

__all__ = [
    "Cohort",
    "Difference",
    "Interval",
    "LinearCalibration",
    "OperatingPoints",
    "SystemResult",
    "TrialList",
    "act_dcf",
    "centre",
    "cllr",
    "cosine_scores",
    "count_macs",
    "count_parameters",
    "det_curve",
    "eer",
    "eer_threshold",
    "embed_files",
    "gap_closed",
    "markdown_table",
    "measure",
    "min_cllr",
    "min_dcf",
    "model_bytes",
    "normalise",
    "paired_difference",
    "plot_det",
    "plot_histogram",
    "read_trials",
    "score_system",
    "speaker_bootstrap",
    "speakers_of",
    "time_per_second",
    "validation_trials",
    "write_report",
    "write_scores",
]
