"""One look at a teacher, from the options of the command to the findings."""

from argparse import Namespace
from pathlib import Path

import torch

from speechbrain_kd.data.audio import load_audio
from speechbrain_kd.evaluation.cost import time_per_second
from speechbrain_kd.evaluation.trials import read_trials
from speechbrain_kd.examining.findings import Findings
from speechbrain_kd.examining.training import (
    TrainingSet,
    find_training_set,
    some_files,
    teach,
    training_share,
)
from speechbrain_kd.examining.trials import (
    Lists,
    exposures,
    find_lists,
    score_lists,
)
from speechbrain_kd.learners import as_itself, described, met_by
from speechbrain_kd.model_sources import (
    ModelSource,
    load_model,
    on_one_thread,
    parse_models,
)
from speechbrain_kd.teachers.base import Teacher
from speechbrain_kd.teachers.card import COST_SECONDS, describe
from speechbrain_kd.teachers.examine import examine
from speechbrain_kd.teachers.speech import synthetic_speech


def look(options: Namespace) -> Findings:
    """Loads a teacher, checks it, and lets it meet what was given.

    Arguments
    ---------
    options : Namespace
        Of ``speechbrain-kd teacher``.

    Returns
    -------
    Findings
        What was found.

    Raises
    ------
    ValueError, FileNotFoundError
        If the teacher is refused, or something else that is named is not
        there or cannot be used.
    """
    (source,) = parse_models([options.source])
    found = lists = None
    if options.data_folder is not None:
        found = find_training_set(options.data_folder)
    if options.trials:
        lists = find_lists(options.trials, options.data_folder)
    bar = not options.noprogressbar
    teacher = load_model(source, options.device)
    if teacher.learns and found is not None:
        teach(teacher, options.data_folder, options.cache, options.device, bar)
    card = describe(teacher)
    # A run of ours has a record, which nobody needs to repeat.
    card.trained_on = card.trained_on or described(as_itself(met_by(teacher)))
    findings = Findings(card)
    if teacher.learns and found is None:
        findings.speech = (
            "none made, as it learns from a training set first: give "
            "--data_folder"
        )
    else:
        _check(findings, teacher, options, found, lists)
        findings.ms, findings.threads = _time(source, teacher)
    if found is not None:
        counts = {one.speaker: one.files for one in found.listings}
        findings.training = training_share(teacher.labels, counts)
    _meet(findings, teacher, options, found, lists)
    return findings


def _check(
    findings: Findings,
    teacher: Teacher,
    options: Namespace,
    found: TrainingSet | None,
    lists: Lists | None,
) -> None:
    """Checks the teacher on the speech that there is."""
    if found is not None:
        files, place = some_files(found, options.utterances), "of the folder"
    elif lists is not None:
        every = list(lists.files.values())
        files = every[:: max(1, len(every) // options.utterances)]
        files, place = files[: options.utterances], "of the trials"
    else:
        files, place = [], "synthetic ones; --data_folder gives real ones"
    speech = [_read(path, options.seconds) for path in files]
    if not speech:
        speech = synthetic_speech(options.utterances)
    findings.speech = (
        f"{len(speech)} utterances, {place}, at most {options.seconds:g} s"
    )
    findings.checks = examine(
        teacher, speech, options.device, options.seconds, options.tolerance
    )


def _read(path: Path, seconds: float) -> torch.Tensor:
    """The beginning of a file."""
    wav = load_audio(path, 0, round(seconds * 16000))
    if not len(wav):
        raise ValueError(f"{path}: no audio in the file")
    return wav


def _time(source: ModelSource, teacher: Teacher) -> tuple[float | None, str]:
    """Milliseconds for 2 s on one thread, and what to say of it."""
    try:
        timed = on_one_thread(source, teacher).to("cpu")
        ms = COST_SECONDS * time_per_second(timed.embed, COST_SECONDS, 7)
    except Exception as error:  # the checks say what is wrong
        return None, f" ({str(error).splitlines()[0]})" if str(error) else ""
    return ms, " on one thread of this CPU"


def _meet(
    findings: Findings,
    teacher: Teacher,
    options: Namespace,
    found: TrainingSet | None,
    lists: Lists | None,
) -> None:
    """Scores trial lists; of the folder's own, says whom it has met."""
    if lists is not None:
        findings.seen = exposures(teacher, lists.trials)
    elif found is not None and found.source.trials is not None:
        own = found.source.trials
        findings.seen = exposures(teacher, {own.stem: read_trials(own)})
    if lists is not None and not (teacher.learns and found is None):
        teacher.to(options.device)
        findings.lists = score_lists(
            teacher,
            lists,
            options.cache,
            options.device,
            options.draws,
            not options.noprogressbar,
        )
