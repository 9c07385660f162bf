"""What a finished run hands on: the export, its model card, its record."""

import json
import logging
from itertools import islice
from pathlib import Path

import torch

from speechbrain_kd.assess import HeldOut
from speechbrain_kd.atomic import atomic_path
from speechbrain_kd.brain import DistillationBrain
from speechbrain_kd.calibrate import MADE_ON, Calibration
from speechbrain_kd.contamination import corpus_name
from speechbrain_kd.data.audio import load_audio
from speechbrain_kd.data.prepare import Corpus
from speechbrain_kd.data.speeds import speed_classes
from speechbrain_kd.export.model_card import ModelCard
from speechbrain_kd.export.speechbrain_folder import (
    ExportSpec,
    export_speechbrain,
)
from speechbrain_kd.learners import as_student, began_as, facts_of, met_by
from speechbrain_kd.students.encoder import SpeakerEncoder
from speechbrain_kd.training_data import FILE, training_data

logger = logging.getLogger(__name__)

_PARITY_FILES = 4


def export(
    brain: DistillationBrain,
    corpus: Corpus,
    held: HeldOut,
    encoder: SpeakerEncoder,
    calibration: Calibration | None,
    results: dict[str, dict],
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
    classifier = hparams.classifier if _learns_classes(brain) else None
    spec = ExportSpec(
        hparams_yaml=resolved_yaml,
        compute_features=encoder.compute_features,
        mean_var_norm=encoder.mean_var_norm,
        embedding_model=encoder.embedding_model,
        threshold=None if calibration is None else calibration.threshold,
        calibration=None if calibration is None else calibration.to_dict(),
        training_data=training_data(
            corpus.train_csv,
            corpus_name(corpus),
            [
                *began_as(hparams.start_from),
                *as_student(met_by(brain.teacher)),
            ],
            facts_of(brain.teacher),
        ),
        projector=_projector(hparams),
        card=model_card_of(brain, corpus, results, calibration),
        classifier=classifier,
        labels=(
            None
            if classifier is None
            else class_names(
                speed_classes(corpus.speakers, hparams.speeds),
                hparams.out_n_neurons,
            )
        ),
        waveforms=[
            load_audio(file)
            for file in islice(held.files.values(), _PARITY_FILES)
        ],
    )
    export_speechbrain(folder / "export", spec=spec)
    with atomic_path(folder / FILE) as part:
        part.write_text(json.dumps(spec.training_data, indent=1) + "\n")
    record = getattr(brain.teacher, "digests", {})
    (folder / "teacher_files.json").write_text(json.dumps(record, indent=1))
    return folder / "export"


def _projector(hparams) -> torch.nn.Linear | None:
    """What takes the student's embeddings to the teacher's, if it is kept."""
    if not hparams.keep_projector or hparams.distillation is None:
        return None
    projector = hparams.distillation.projector
    if isinstance(projector, torch.nn.Linear):
        return projector
    logger.info("There is no projector to keep: the dimensions are equal")
    return None


def _learns_classes(brain: DistillationBrain) -> bool:
    """Whether any loss reached the classifier."""
    objective = brain.hparams.distillation
    return brain.hparams.compute_cost is not None or (
        objective is not None and objective.compares("logits")
    )


def class_names(speakers: list[str], classes: int) -> list[str]:
    """A name for every class of the classifier.

    Arguments
    ---------
    speakers : list[str]
        Training speakers in index order.
    classes : int
        Outputs of the classifier. A yaml may have more than there are
        speakers: upstream's has 7205, whatever the data.

    Returns
    -------
    list[str]
        The speakers; the classes beyond them have made-up names.

    Example
    -------
    >>> class_names(["ann", "bob"], 3)
    ['ann', 'bob', 'no-speaker-2']
    """
    empty = range(len(speakers), classes)
    return [*speakers, *(f"no-speaker-{number}" for number in empty)]


def model_card_of(
    brain: DistillationBrain,
    corpus: Corpus,
    results: dict[str, dict],
    calibration: Calibration | None,
) -> ModelCard:
    """The facts of a run for its model card."""
    hparams, teacher = brain.hparams, brain.teacher
    terms, weights = {}, {}
    if teacher is not None:
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
        teachers=facts_of(teacher),
        terms=terms,
        weights=weights,
        results=results,
        trials=None if corpus.trials is None else corpus.trials.name,
        calibrated_on=MADE_ON,
        thresholds={} if calibration is None else calibration.thresholds(),
    )
