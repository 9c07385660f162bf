"""What searches look at: error rates of speakers in the training."""

import logging
from collections.abc import Mapping

import numpy as np

from speechbrain_kd.assess import held_out
from speechbrain_kd.evaluation.embed import embed_files
from speechbrain_kd.evaluation.metrics import OperatingPoints
from speechbrain_kd.evaluation.scoring import cosine_scores
from speechbrain_kd.evaluation.trials import TrialList
from speechbrain_kd.evaluation.validation import validation_trials
from speechbrain_kd.study.rates import Bench, Rates, speaker_of
from speechbrain_kd.teachers import Teacher

logger = logging.getLogger(__name__)


def validate(model: Teacher, bench: Bench) -> Rates:
    """Error rates on held-out utterances of the training speakers.

    Where there is a column, trials are made within each of its groups: across
    them the channel would give the answer away.

    Arguments
    ---------
    model : Teacher
        The model.
    bench : Bench
        With the manifests of the model's own run.

    Returns
    -------
    Rates
        Without ``min_dcf``.

    Raises
    ------
    ValueError
        If no trial can be made.
    """
    files = held_out(bench.corpus).files
    ids, rows = embed_files(model.embed, files, bench.device, progressbar=False)
    place = {name: row for name, row in zip(ids, rows.numpy(), strict=True)}
    values = bench.values()
    groups = {}
    for group in sorted({values.get(speaker_of(name), "") for name in ids}):
        own = [
            name for name in ids if values.get(speaker_of(name), "") == group
        ]
        try:
            trials = validation_trials(list(map(speaker_of, own)), own)
        except ValueError as error:
            logger.info("No validation trials of %s: %s", group, error)
            continue
        groups[group] = _eer(place, trials)
    if not groups:
        raise ValueError(
            f"{bench.corpus.valid_csv}: no validation trial can be made; hold "
            "out more of each speaker (--split_ratio)"
        )
    return {"groups": groups, "mean": float(np.mean(list(groups.values())))}


def _eer(place: Mapping[str, np.ndarray], trials: TrialList) -> float:
    """EER by embeddings of utterances."""
    rows = np.stack([place[name] for name in trials.utterances])
    points = OperatingPoints(*trials.split(cosine_scores(rows, trials)))
    return points.eer_threshold()[0]
