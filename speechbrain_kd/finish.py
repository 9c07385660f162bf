"""What follows training: evaluation, calibration, export, report."""

import logging
from pathlib import Path

from speechbrain.utils.distributed import run_on_main

from speechbrain_kd.assess import (
    add_teacher_costs,
    evaluate,
    held_out,
    load_best,
    with_costs,
)
from speechbrain_kd.brain import DistillationBrain
from speechbrain_kd.calibrate import Calibration, calibrate
from speechbrain_kd.contamination import exposures
from speechbrain_kd.data.prepare import Corpus
from speechbrain_kd.evaluation.embed import embed_files
from speechbrain_kd.evaluation.report import write_report
from speechbrain_kd.evaluation.trials import read_trials
from speechbrain_kd.exporting import export
from speechbrain_kd.learners import began_as, met_by
from speechbrain_kd.students.encoder import SpeakerEncoder

logger = logging.getLogger(__name__)


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
    began = began_as(brain.hparams.start_from)
    seen = exposures(corpus, met_by(brain.teacher), began)
    results = {
        name: result.to_dict() | {"seen": seen[name].label}
        for name, result in systems.items()
    }
    if embedded:
        notes = _notes(brain.hparams, corpus, calibration)
        title = f"Speaker verification of {folder.name}"
        write_report(folder / "report", results, scores, title, notes)
    for name, result in systems.items():
        logger.info("EER of the %s: %.2f %%", name, 100 * result.eer)
    export(brain, corpus, held, encoder, calibration, results, resolved_yaml)
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
    if hparams.average is not None:
        notes.append(f"The weights are {hparams.average}.")
    if hparams.start_from is not None:
        notes.append(f"It began with the weights of {hparams.start_from}.")
    if hparams.quantise is not None:
        notes.append("It learnt in the rounding of int8; measured in float.")
    if calibration is not None:
        notes.append(
            f"Threshold {calibration.threshold:.4f}, calibrated on held-out "
            "utterances of the training speakers."
        )
    return notes
