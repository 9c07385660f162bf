"""What follows training: evaluation, calibration, export, report."""

import json
import logging
from itertools import islice
from pathlib import Path

import torch
from speechbrain.utils.distributed import run_on_main

from speechbrain_kd.assess import (
    HeldOut,
    add_teacher_costs,
    evaluate,
    held_out,
    load_best,
    with_costs,
)
from speechbrain_kd.brain import DistillationBrain
from speechbrain_kd.calibrate import MADE_ON, Calibration, calibrate
from speechbrain_kd.data.audio import load_audio
from speechbrain_kd.data.prepare import Corpus
from speechbrain_kd.evaluation.embed import embed_files
from speechbrain_kd.evaluation.report import write_report
from speechbrain_kd.evaluation.results import SystemResult
from speechbrain_kd.evaluation.trials import read_trials
from speechbrain_kd.export.model_card import ModelCard, TeacherFacts
from speechbrain_kd.export.speechbrain_folder import (
    ExportSpec,
    export_speechbrain,
)
from speechbrain_kd.students.encoder import SpeakerEncoder

logger = logging.getLogger(__name__)

_PARITY_FILES = 4


def finish_run(
    brain: DistillationBrain, corpus: Corpus, resolved_yaml: str
) -> None:
    """Evaluates the best checkpoint, exports it and writes the report.

    All ranks call this: each embeds a part of the utterances. What needs no
    audio, and what measures or writes, the main process does alone; the
    others wait for seconds to a few minutes, of the two hours that
    SpeechBrain's process group allows.

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
    held = held_out(corpus)
    if brain.checkpointer is not None:
        load_best(brain.checkpointer, held.trials)
    encoder = SpeakerEncoder(
        hparams.compute_features, hparams.mean_var_norm, hparams.embedding_model
    ).eval()
    calibration = calibrate(encoder, held, brain.device)
    embedded = {}
    if corpus.trials is not None:
        role = "student" if brain.teacher is not None else "model"
        systems = {role: encoder}
        if brain.teacher is not None and hparams.evaluate_teacher:
            systems["teacher"] = brain.teacher.embed
        embedded = {
            name: embed_files(
                embed, corpus.test_files, brain.device, divide=True
            )
            for name, embed in systems.items()
        }
    run_on_main(
        _conclude,
        args=[
            brain,
            corpus,
            held,
            encoder,
            calibration,
            embedded,
            resolved_yaml,
        ],
    )


def _conclude(
    brain, corpus, held, encoder, calibration, embedded, resolved_yaml
):
    """Scores, measures costs, reports and exports, on the main process."""
    folder = Path(brain.hparams.output_folder)
    systems, scores = {}, {}
    trials = read_trials(corpus.trials) if embedded else None
    for name, rows in embedded.items():
        suffix = "_teacher" if name == "teacher" else ""
        file = folder / f"scores{suffix}.txt"
        systems[name], scores[name] = evaluate(rows, trials, file)
        if name == "teacher":
            add_teacher_costs(systems[name], brain.teacher)
        else:
            with_costs(systems[name], encoder)
    if embedded:
        notes = _notes(brain.hparams, corpus, calibration)
        title = f"Speaker verification of {folder.name}"
        write_report(folder / "report", systems, scores, title, notes)
    for name, result in systems.items():
        logger.info("EER of the %s: %.2f %%", name, 100 * result.eer)
    export(brain, corpus, held, encoder, calibration, systems, resolved_yaml)
    logger.info("The exported model is in %s", folder / "export")


def _notes(
    hparams, corpus: Corpus, calibration: Calibration | None
) -> list[str]:
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
            f"{', '.join(hparams.teacher.trained_on) or 'unknown data'}; asked "
            + (
                f"about {hparams.teacher_views} views of each utterance, once."
                if hparams.teacher_views
                else "about new crops in every epoch."
            )
        )
    if calibration is not None:
        notes.append(
            f"Threshold {calibration.threshold:.4f}, calibrated on held-out "
            "utterances of the training speakers."
        )
    return notes


def export(
    brain: DistillationBrain,
    corpus: Corpus,
    held: HeldOut,
    encoder: SpeakerEncoder,
    calibration: Calibration | None,
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
    classifier = hparams.classifier if _learns_classes(brain) else None
    spec = ExportSpec(
        hparams_yaml=resolved_yaml,
        compute_features=encoder.compute_features,
        mean_var_norm=encoder.mean_var_norm,
        embedding_model=encoder.embedding_model,
        threshold=None if calibration is None else calibration.threshold,
        calibration=None if calibration is None else calibration.to_dict(),
        projector=_projector(hparams),
        card=model_card_of(brain, corpus, systems, calibration),
        classifier=classifier,
        labels=(
            None
            if classifier is None
            else class_names(corpus.speakers, hparams.out_n_neurons)
        ),
        waveforms=[
            load_audio(file)
            for file in islice(held.files.values(), _PARITY_FILES)
        ],
    )
    export_speechbrain(folder / "export", spec=spec)
    record = {
        name: digest
        for name, digest in getattr(brain.teacher, "digests", {}).items()
    }
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
    systems: dict[str, SystemResult],
    calibration: Calibration | None,
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
        calibrated_on=MADE_ON,
        thresholds={} if calibration is None else calibration.thresholds(),
    )
