"""What teachers and terms learn of the training set, before the training."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from speechbrain.utils.distributed import infer_device, run_on_main
from speechbrain.utils.run_opts import RunOptions

from speechbrain_kd.data.prepare import Corpus
from speechbrain_kd.data.speeds import speed_classes
from speechbrain_kd.data.table import ManifestTable
from speechbrain_kd.losses.objective import DistillationObjective
from speechbrain_kd.speed.threads import plan, usable_cores
from speechbrain_kd.teachers.base import Teacher
from speechbrain_kd.teachers.heard import Heard

logger = logging.getLogger(__name__)

#: In the folder of all stores.
FOLDER = "learned"

#: What terms learn from: enough for a mean and a covariance. The same as
#: prototypes are made of, so that a teacher is asked once for both.
UTTERANCES_PER_SPEAKER = 20
SECONDS = 4.0


def teach_teacher(
    hparams: Mapping[str, Any], corpus: Corpus, run_opts: RunOptions
) -> None:
    """Lets a teacher that ``learns`` hear the training set; others are left.

    The main rank asks; the others, and runs that are resumed or come later,
    read what it kept beside the stores.

    Arguments
    ---------
    hparams : Mapping[str, Any]
        Of the experiment: ``teacher``, ``distillation``, ``store_folder``,
        ``dataloader_options``.
    corpus : Corpus
        Its training and validation manifests.
    run_opts : RunOptions
        Where to ask, and whether to show a progress bar.
    """
    teacher = hparams["teacher"]
    if hparams["distillation"] is None or teacher is None:
        return
    if not teacher.learns:
        return
    training, validation = (
        _heard(hparams, path, corpus, run_opts)
        for path in (corpus.train_csv, corpus.valid_csv)
    )
    teacher.to(training.device)
    logger.info("%s learns from the training set", teacher.source)
    lesson = [training, validation if len(validation) else None]
    run_on_main(
        teacher.learn, args=lesson, post_func=teacher.learn, post_args=lesson
    )


def teach_objective(
    hparams: Mapping[str, Any], corpus: Corpus, run_opts: RunOptions
) -> None:
    """Lets terms that ``learn`` see what the teacher says of the training set.

    The teacher has learned before. As for it, the main rank asks and the
    others read.

    Arguments
    ---------
    hparams : Mapping[str, Any]
        As for ``teach_teacher``.
    corpus : Corpus
        Its training manifest.
    run_opts : RunOptions
        Where to ask, and whether to show a progress bar.
    """
    objective, teacher = hparams["distillation"], hparams["teacher"]
    if objective is None or teacher is None:
        return
    learners = [name for name, term in objective.terms.items() if term.learns]
    if not learners:
        return
    training = _heard(hparams, corpus.train_csv, corpus, run_opts)
    teacher.to(training.device)
    some = training.some(UTTERANCES_PER_SPEAKER, SECONDS)
    logger.info(
        "%s: learned from the teacher's embeddings of %d training utterances",
        ", ".join(learners),
        len(some),
    )
    classes = speed_classes(corpus.speakers)
    lesson = [objective, teacher, some, classes]
    run_on_main(_teach, args=lesson, post_func=_teach, post_args=lesson)


def _teach(
    objective: DistillationObjective,
    teacher: Teacher,
    heard: Heard,
    classes: Sequence[str],
) -> None:
    """Asks the teacher, and tells every term that learns."""
    embeddings = heard.embeddings(teacher)
    places = {speaker: place for place, speaker in enumerate(classes)}
    labels = torch.tensor([places[speaker] for speaker in heard.speakers])
    for term in objective.terms.values():
        if term.learns and term.needs_labels:
            term.learn(embeddings, labels)
        elif term.learns:
            term.learn(embeddings)


def _heard(
    hparams: Mapping[str, Any],
    manifest: str | Path,
    corpus: Corpus,
    run_opts: RunOptions,
) -> Heard:
    """Utterances of a manifest, for the teacher to be asked about."""
    device = torch.device(run_opts["device"] or infer_device())
    wanted = hparams["dataloader_options"].get("num_workers", 0)
    return Heard(
        ManifestTable.from_csv(manifest, corpus.data_root),
        Path(hparams["store_folder"]) / FOLDER,
        device,
        plan(wanted, device.type, usable_cores()).readers,
        progressbar=not run_opts["noprogressbar"],
    )
