"""What the plain values of an experiment must be, before anything is made."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from speechbrain_kd.data.audio import SAMPLE_RATE
from speechbrain_kd.data.mixed import check_share
from speechbrain_kd.data.speeds import check_speeds
from speechbrain_kd.parts import check_student_len
from speechbrain_kd.speed.threads import AUTO

#: Without these nothing trains.
REQUIRED = (
    "data_folder",
    "output_folder",
    "save_folder",
    "compute_features",
    "mean_var_norm",
    "embedding_model",
    "modules",
    "epoch_counter",
    "opt_class",
    "dataloader_options",
)
_NUMBERS = (
    "seed",
    "split_seed",
    "sample_rate",
    "sentence_len",
    "number_of_epochs",
    "out_n_neurons",
    "teacher_views",
    "view_seed",
)

#: Made by a class; keys alone would be a mapping that breaks when it is used.
_OBJECTS = (
    *("average", "distillation", "large_margin", "teacher"),
    *("fea_augment", "wav_augment"),
)


def check_values(file: Path, values: Mapping[str, Any]) -> None:
    """Refuses values with which a run would break after it has begun.

    Arguments
    ---------
    file : Path
        The yaml, for the messages.
    values : Mapping[str, Any]
        Its plain values; what is not plain is not looked at.

    Raises
    ------
    ValueError
        For a key without which nothing trains, a number that is none, terms
        without a teacher, labels without a classifier, nothing to learn from.
    """
    check_required(file, values)
    numbers = {key: values[key] for key in _NUMBERS}
    numbers["batch_size"] = values["dataloader_options"].get("batch_size")
    workers = values["dataloader_options"].get("num_workers", AUTO)
    if workers != AUTO:
        numbers["num_workers (a count, or auto)"] = workers
    for key, value in numbers.items():
        if isinstance(value, str):
            raise ValueError(f"{file}: {key} must be a number; got {value!r}")
    if not isinstance(values["stream"], bool):
        raise ValueError(
            f"{file}: stream must be True or False; got {values['stream']!r}"
        )
    try:
        check_speeds(values["speeds"])
        _check_student_len(values)
        if values["unlabelled_folder"] is not None:
            _check_unlabelled(values)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None
    for key in _OBJECTS:
        if isinstance(values[key], Mapping):
            raise ValueError(
                f"{file}: {key} must be null or an object (!new:…), and got "
                f"keys alone, {dict(values[key])}: they change parts of one "
                "where the yaml has one"
            )
    if values["distillation"] is not None and values["teacher"] is None:
        raise ValueError(
            f"{file}: distillation has terms but teacher is null: name a "
            "teacher (--teacher=hparams/teachers/NAME.yaml), or give "
            "--distillation=null to train without one"
        )
    if values["compute_cost"] is None and values["distillation"] is None:
        raise ValueError(
            f"{file}: compute_cost and distillation are both null, so there "
            "is nothing to learn from: set one of them"
        )
    if values["compute_cost"] is not None and values["classifier"] is None:
        raise ValueError(
            f"{file}: compute_cost needs a classifier, and classifier is "
            "null: set it, or give --compute_cost=null to train without labels"
        )


def _check_student_len(values):
    """Refuses parts that are longer than what they are parts of."""
    if values["student_len"] is None:
        return
    longest = check_student_len(values["student_len"])[1] / SAMPLE_RATE
    if longest > values["sentence_len"]:
        raise ValueError(
            f"student_len: a part of {longest:g} s cannot be cut from crops "
            f"of sentence_len: {values['sentence_len']:g} s"
        )


def _check_unlabelled(values: Mapping[str, Any]) -> None:
    """Refuses unlabelled audio where nothing can be learnt from it."""
    check_share(values["unlabelled_share"])
    if values["teacher"] is None or values["distillation"] is None:
        raise ValueError(
            "unlabelled_folder needs a teacher and distillation, which are "
            "all that tells of such audio: give both, or "
            "--unlabelled_folder=null"
        )
    if values["stream"]:
        raise ValueError(
            "unlabelled_folder is read by random access, and stream is True: "
            "give --stream=False, or --unlabelled_folder=null"
        )


def check_required(file: Path, values: Mapping[str, Any]) -> None:
    """Refuses null for a key without which nothing trains.

    Arguments
    ---------
    file : Path
        The yaml, for the message.
    values : Mapping[str, Any]
        Values or overrides; a key that is not there is not looked at.
    """
    for key in REQUIRED:
        if key in values and values[key] is None:
            raise ValueError(
                f"{file}: the key {key} is missing or null, and nothing "
                f"trains without it: give it a value (see hparams/student.yaml)"
            )
