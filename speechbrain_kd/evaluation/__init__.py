"""Evaluation of speaker verification: from files to a report.

The way of a run is: `read_trials` → `embed_files` → `score_system` →
`write_report`. `speechbrain-kd evaluate` adds normalised scores, calibration,
intervals over speakers, paired tests and a page. Everything takes tensors,
arrays and paths; nothing here knows a Brain.
"""

import importlib

#: Public name: the module that it is in. Imported when asked for: error rates
#: need no torch.
_HOMES = {
    "Cohort": "cohort",
    "Difference": "certainty",
    "Interval": "certainty",
    "LinearCalibration": "calibration",
    "OperatingPoints": "points",
    "SystemResult": "results",
    "TrialList": "trials",
    "act_dcf": "likelihood",
    "centre": "normalisation",
    "cllr": "likelihood",
    "cosine_scores": "scoring",
    "count_macs": "cost",
    "count_parameters": "cost",
    "det_curve": "metrics",
    "eer": "metrics",
    "eer_threshold": "metrics",
    "embed_files": "embed",
    "gap_closed": "results",
    "markdown_table": "report",
    "measure": "results",
    "min_cllr": "likelihood",
    "min_dcf": "metrics",
    "model_bytes": "cost",
    "normalise": "normalisation",
    "paired_difference": "certainty",
    "plot_det": "plots",
    "plot_histogram": "plots",
    "read_trials": "trials",
    "score_system": "results",
    "speaker_bootstrap": "certainty",
    "speakers_of": "speakers",
    "time_per_second": "cost",
    "validation_trials": "validation",
    "write_report": "report",
    "write_scores": "score_files",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    """Imports what is asked for (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_HOMES[name]}")
    globals()[name] = getattr(module, name)
    return globals()[name]


def __dir__() -> list[str]:
    """Public names, imported or not."""
    return sorted({*globals(), *_HOMES})
