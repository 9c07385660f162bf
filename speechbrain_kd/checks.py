"""What the plain values of an experiment must be, before anything is made."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
