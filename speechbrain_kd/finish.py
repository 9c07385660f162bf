"""What follows training: evaluation, calibration, export, report."""

import copy
import json
import logging
from pathlib import Path

import numpy as np
import torch

from speechbrain_kd.brain import DistillationBrain
from speechbrain_kd.data.audio import load_audio
from speechbrain_kd.data.manifest import read_paths
from speechbrain_kd.data.prepare import Corpus
from speechbrain_kd.evaluation.cost import (
    count_macs,
    count_parameters,
    model_bytes,
    time_per_second,
)
from speechbrain_kd.evaluation.embed import embed_files
from speechbrain_kd.evaluation.metrics import eer_threshold
from speechbrain_kd.evaluation.report import write_report
from speechbrain_kd.evaluation.results import (
    SystemResult,
    score_system,
    write_scores,
)
from speechbrain_kd.evaluation.scoring import cosine_scores
from speechbrain_kd.evaluation.trials import TrialList, read_trials
from speechbrain_kd.evaluation.validation import validation_trials
from speechbrain_kd.export.model_card import ModelCard, TeacherFacts
from speechbrain_kd.export.speechbrain_folder import (
    ExportSpec,
    export_speechbrain,
)
from speechbrain_kd.students.encoder import SpeakerEncoder
from speechbrain_kd.teachers.base import Teacher

logger = logging.getLogger(__name__)

_PARITY_FILES = 4
_COST_SECONDS = 2


def finish_run(
    brain: DistillationBrain, corpus: Corpus, resolved_yaml: str
) -> None:
    """Evaluates the best checkpoint, exports it and writes the report.

    Arguments
    ---------
    brain : DistillationBrain
        After ``fit``. Its best checkpoint by validation EER is loaded.
    corpus : Corpus
        With the trial list, if there is one, and the validation manifest.
    resolved_yaml : str
        The experiment's yaml with overrides and references in place.
    """
    hparams = brain.hparams
    folder = Path(hparams.output_folder)
    if brain.checkpointer is not None:
        brain.checkpointer.recover_if_possible(min_key="selection")
    encoder = SpeakerEncoder(
        hparams.compute_features, hparams.mean_var_norm, hparams.embedding_model
    ).eval()
    threshold = calibrate(encoder, corpus, brain.device)
    systems, scores = {}, {}
    role = "student" if brain.teacher is not None else "model"
    if corpus.trials is not None:
        trials = read_trials(corpus.trials)
        systems[role], scores[role] = evaluate(
            encoder, corpus, trials, brain.device, folder / "scores.txt"
        )
        systems[role] = with_costs(systems[role], encoder)
        if brain.teacher is not None and hparams.evaluate_teacher:
            systems["teacher"], scores["teacher"] = evaluate(
                brain.teacher.embed,
                corpus,
                trials,
                brain.device,
                folder / "scores_teacher.txt",
            )
            add_teacher_costs(systems["teacher"], brain.teacher)
        notes = _notes(hparams, corpus, threshold)
        title = f"Speaker verification of {folder.name}"
        write_report(folder / "report", systems, scores, title, notes)
        for name, result in systems.items():
            logger.info("EER of the %s: %.2f %%", name, 100 * result.eer)
    export(brain, corpus, encoder, threshold, systems, resolved_yaml)
    logger.info("The exported model is in %s", folder / "export")


def calibrate(
    encoder: torch.nn.Module, corpus: Corpus, device: str
) -> float | None:
    """Threshold at the EER of trials among the validation utterances.

    They are of training speakers, so the threshold leans to the high side
    for strangers.

    Arguments
    ---------
    encoder : torch.nn.Module
        Waveforms [batch, samples] to embeddings.
    corpus : Corpus
        With the validation manifest.
    device : str
        Where to compute.

    Returns
    -------
    float | None
        Accept at this cosine or above; ``None`` where the validation
        utterances make no trials.
    """
    files = read_paths(corpus.valid_csv, corpus.data_root)
    speakers = [utterance.split("/")[0] for utterance in files]
    try:
        trials = validation_trials(speakers, list(files))
    except ValueError as error:
        logger.warning("The threshold is not calibrated: %s", error)
        return None
    ids, embeddings = embed_files(encoder, files, device)
    rows = {utterance: row for row, utterance in enumerate(ids)}
    wanted = embeddings[[rows[utterance] for utterance in trials.utterances]]
    return eer_threshold(*trials.split(cosine_scores(wanted, trials)))[1]


def evaluate(
    embed_fn: torch.nn.Module,
    corpus: Corpus,
    trials: TrialList,
    device: str,
    scores_file: Path,
) -> tuple[SystemResult, tuple[np.ndarray, np.ndarray]]:
    """Scores the trial list with every utterance embedded once.

    Arguments
    ---------
    embed_fn : Callable
        Waveforms [batch, samples] to embeddings [batch, dim].
    corpus : Corpus
        With the files of the trials.
    trials : TrialList
        The trials.
    device : str
        Where to compute.
    scores_file : Path
        Where the scores are written.

    Returns
    -------
    tuple
        The result, and target and impostor scores.
    """
    ids, embeddings = embed_files(embed_fn, corpus.test_files, device)
    scores, result = score_system(ids, embeddings, trials)
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
    """Adds what can be counted of a teacher; an ONNX file has bytes only."""
    if isinstance(getattr(teacher, "embedding_model", None), torch.nn.Module):
        with_costs(
            result,
            SpeakerEncoder(
                teacher.compute_features,
                teacher.mean_var_norm,
                teacher.embedding_model,
            ),
        )
    elif Path(teacher.source).is_file():
        result.bytes = Path(teacher.source).stat().st_size


def _notes(hparams, corpus: Corpus, threshold: float | None) -> list[str]:
    """How a run's numbers were made, a sentence each."""
    folders = ", ".join(str(folder) for folder in corpus.data_folders)
    notes = [
        f"Trained on {len(corpus.speakers)} speakers of {folders}, seed "
        f"{hparams.seed}, {hparams.epoch_counter.limit} epochs; trials of "
        f"{corpus.trials}."
    ]
    if hparams.teacher is not None and hparams.distillation is not None:
        notes.append(
            f"Teacher: {hparams.teacher.source}, trained on "
            f"{', '.join(hparams.teacher.trained_on) or 'unknown data'}."
        )
    if threshold is not None:
        notes.append(
            f"Threshold {threshold:.4f}, calibrated on held-out utterances "
            "of the training speakers."
        )
    return notes


def export(
    brain: DistillationBrain,
    corpus: Corpus,
    encoder: SpeakerEncoder,
    threshold: float | None,
    systems: dict[str, SystemResult],
    resolved_yaml: str,
) -> Path:
    """Writes ``<output_folder>/export`` in SpeechBrain's layout.

    Returns
    -------
    Path
        The folder.
    """
    hparams = brain.hparams
    folder = Path(hparams.output_folder)
    files = list(read_paths(corpus.valid_csv, corpus.data_root).values())
    spec = ExportSpec(
        hparams_yaml=resolved_yaml,
        compute_features=encoder.compute_features,
        mean_var_norm=encoder.mean_var_norm,
        embedding_model=encoder.embedding_model,
        threshold=threshold,
        card=model_card_of(brain, corpus, systems),
        classifier=hparams.classifier,
        labels=corpus.speakers if hparams.classifier is not None else None,
        waveforms=[load_audio(file) for file in files[:_PARITY_FILES]],
    )
    export_speechbrain(folder / "export", spec=spec)
    record = {
        name: digest
        for name, digest in getattr(brain.teacher, "digests", {}).items()
    }
    (folder / "teacher_files.json").write_text(json.dumps(record, indent=1))
    return folder / "export"


def model_card_of(
    brain: DistillationBrain, corpus: Corpus, systems: dict[str, SystemResult]
) -> ModelCard:
    """The facts of a run for its model card."""
    hparams, teacher = brain.hparams, brain.teacher
    teachers, terms, weights = [], {}, {}
    if teacher is not None:
        teachers = [
            TeacherFacts(
                teacher.source,
                getattr(teacher, "revision", None),
                teacher.digests,
                teacher.trained_on,
            )
        ]
        objective = hparams.distillation
        terms = {
            name: type(term).__name__ for name, term in objective.terms.items()
        }
        weights = objective.weights
    if hparams.compute_cost is not None:
        loss = getattr(hparams.compute_cost, "loss_fn", hparams.compute_cost)
        terms["classification"] = getattr(loss, "__name__", type(loss).__name__)
    folders = ", ".join(folder.name for folder in corpus.data_folders)
    return ModelCard(
        name=Path(hparams.output_folder).name,
        corpus=folders,
        seed=hparams.seed,
        teachers=teachers,
        terms=terms,
        weights=weights,
        results={name: r.to_dict() for name, r in systems.items()},
        trials=None if corpus.trials is None else corpus.trials.name,
        calibrated_on="trials among held-out utterances of training speakers",
    )
