"""A trained encoder on a corpus: error rates and costs."""

import copy
import logging
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from speechbrain.utils.checkpoints import Checkpoint, Checkpointer

from speechbrain_kd.data.corpus import Corpus
from speechbrain_kd.data.manifest import read_paths
from speechbrain_kd.evaluation.cost import (
    count_macs,
    count_parameters,
    model_bytes,
    time_per_second,
)
from speechbrain_kd.evaluation.results import SystemResult, score_system
from speechbrain_kd.evaluation.score_files import write_scores
from speechbrain_kd.evaluation.trials import TrialList
from speechbrain_kd.evaluation.validation import validation_trials
from speechbrain_kd.students.encoder import SpeakerEncoder
from speechbrain_kd.teachers.base import Teacher
from speechbrain_kd.teachers.card import costs_of

logger = logging.getLogger(__name__)

_COST_SECONDS = 2


@dataclass
class HeldOut:
    """The validation utterances and the trials among them.

    Arguments
    ---------
    files : dict[str, Path]
        The file of each utterance.
    trials : TrialList | None
        ``None`` where no speaker has two utterances.
    """

    files: dict[str, Path]
    trials: TrialList | None


def held_out(corpus: Corpus) -> HeldOut:
    """Reads the validation utterances and draws the trials among them.

    Arguments
    ---------
    corpus : Corpus
        With the validation manifest.
    """
    files = read_paths(corpus.valid_csv, corpus.data_root)
    speakers = [utterance.split("/")[0] for utterance in files]
    try:
        return HeldOut(files, validation_trials(speakers, list(files)))
    except ValueError as error:
        logger.info("No validation trials: %s", error)
        return HeldOut(files, None)


def load_best(
    checkpointer: Checkpointer, trials: TrialList | None
) -> Checkpoint | None:
    """Loads the best checkpoint, by more than chance.

    That is the one of the lowest validation EER, unless the last is within a
    standard error of it: on a few hundred target trials an early epoch can
    come out best by luck, while the last is the better trained.

    Arguments
    ---------
    checkpointer : Checkpointer
        Its checkpoints have ``EER`` and ``selection`` among their meta.
    trials : TrialList | None
        The validation trials that the EER was measured on.

    Returns
    -------
    Checkpoint | None
        The one that was loaded; ``None`` where there is none.
    """
    best = checkpointer.find_checkpoint(min_key="selection")
    last = checkpointer.find_checkpoint(
        ckpt_predicate=lambda checkpoint: "selection" in checkpoint.meta
    )
    if best is None:
        return None
    rate = best.meta["EER"]
    if trials is not None:
        noise = math.sqrt(rate * (1 - rate) / trials.labels.sum())
        if last.meta["EER"] <= rate + noise:
            best = last
    logger.info("Best epoch by validation EER: %s", best.meta["epoch"])
    checkpointer.load_checkpoint(best)
    return best


def evaluate(
    embedded: tuple[list[str], torch.Tensor],
    trials: TrialList,
    scores_file: Path,
) -> tuple[SystemResult, tuple[np.ndarray, np.ndarray]]:
    """Scores a trial list whose utterances were embedded once each.

    Arguments
    ---------
    embedded : tuple[list[str], torch.Tensor]
        Utterances and their rows, as ``embed_files`` gives them.
    trials : TrialList
        The trials.
    scores_file : Path
        Where the scores are written.

    Returns
    -------
    tuple
        The result, and target and impostor scores.
    """
    scores, result = score_system(*embedded, trials)
    write_scores(scores_file, trials, scores)
    return result, trials.split(scores)


def with_costs(result: SystemResult, encoder: SpeakerEncoder) -> SystemResult:
    """Adds what the encoder costs: parameters, GMAC, bytes, time on the CPU.

    Arguments
    ---------
    result : SystemResult
        Filled in.
    encoder : SpeakerEncoder
        Left where it is; a copy on the CPU is timed.

    Returns
    -------
    SystemResult
        The same object.
    """
    encoder = copy.deepcopy(encoder).cpu().eval()
    feats = encoder.features(torch.zeros(1, _COST_SECONDS * 16000))
    result.params = count_parameters(encoder.embedding_model)
    result.gmac = count_macs(encoder.embedding_model, feats) / 1e9
    result.bytes = model_bytes(encoder.embedding_model)
    result.ms_per_second = time_per_second(encoder, _COST_SECONDS)
    return result


def add_teacher_costs(result: SystemResult, teacher: Teacher) -> None:
    """Adds what can be counted of a teacher; of several, the sum."""
    if isinstance(getattr(teacher, "embedding_model", None), torch.nn.Module):
        with_costs(
            result,
            SpeakerEncoder(
                teacher.compute_features,
                teacher.mean_var_norm,
                teacher.embedding_model,
            ),
        )
        return
    costs = costs_of(teacher)
    result.params, result.gmac = costs["parameters"], costs["gmac"]
    result.bytes = costs["bytes"]
