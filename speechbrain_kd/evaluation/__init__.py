"""Evaluation of speaker verification: from files to a report.

The way is: `read_trials` → `embed_files` → `score_system` → `write_report`.
Everything takes tensors, arrays and paths; nothing here knows a Brain.
"""

from speechbrain_kd.evaluation.cost import (
    count_macs,
    count_parameters,
    model_bytes,
    time_per_second,
)
from speechbrain_kd.evaluation.embed import embed_files
from speechbrain_kd.evaluation.metrics import (
    det_curve,
    eer,
    eer_threshold,
    min_dcf,
)
from speechbrain_kd.evaluation.plots import plot_det, plot_histogram
from speechbrain_kd.evaluation.report import markdown_table, write_report
from speechbrain_kd.evaluation.results import (
    SystemResult,
    gap_closed,
    measure,
    score_system,
    write_scores,
)
from speechbrain_kd.evaluation.scoring import cosine_scores
from speechbrain_kd.evaluation.trials import TrialList, read_trials
from speechbrain_kd.evaluation.validation import validation_trials

__all__ = [
    "SystemResult",
    "TrialList",
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
    "min_dcf",
    "model_bytes",
    "plot_det",
    "plot_histogram",
    "read_trials",
    "score_system",
    "time_per_second",
    "validation_trials",
    "write_report",
    "write_scores",
]
