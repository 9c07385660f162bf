"""The names of a teacher's classes, in the order of its logits."""

import logging
from typing import Any

from speechbrain_kd.teachers.files import check_link
from speechbrain_kd.teachers.hub import MissingFileError, Source
from speechbrain_kd.teachers.loading import check_fits, sha256

logger = logging.getLogger(__name__)

#: Where they lie beside a yaml whose pretrainer does not load them.
LABELS = "label_encoder.txt"


def class_names(
    hparams: dict[str, Any], files: Source, classes: int
) -> tuple[list[str] | None, dict[str, str]]:
    """Lists the labels of a SpeechBrain model, which has been loaded.

    The published ResNet declares a label encoder that its pretrainer does not
    load: it is read here where the file is there.

    Arguments
    ---------
    hparams : dict[str, Any]
        The model's yaml, built.
    files : Source
        Where its files are.
    classes : int
        How many its classifier has.

    Returns
    -------
    labels : list[str] | None
        One a class; None where they have no names.
    digests : dict[str, str]
        SHA-256 by name of what was read here.

    Raises
    ------
    ValueError
        If there are not as many labels as classes.
    """
    encoder = hparams.get("label_encoder")
    if encoder is None:
        return None, {}
    digests = {}
    loaded = hparams["pretrainer"].loadables.values()
    if not any(encoder is one for one in loaded):
        digests = _load(encoder, files)
        if not digests:
            return None, {}
    names = encoder.ind2lab
    if sorted(names) != list(range(classes)):
        raise ValueError(
            f"The {LABELS} of {files.place} has {len(names)} labels where its "
            f"classifier has {classes} classes: it must hold one label for "
            f"each index from 0 to {classes - 1}"
        )
    return [str(names[index]) for index in range(classes)], digests


def _load(encoder: Any, files: Source) -> dict[str, str]:
    """Reads the labels beside the yaml; gives nothing where none are."""
    try:
        path = files.fetch(LABELS)
    except MissingFileError:
        logger.warning(
            "%s has no %s: its classes have no names, so label-level "
            "distillation needs prototypes",
            *(files.place, LABELS),
        )
        return {}
    check_link(path)
    check_fits(encoder, path)
    encoder.load(path)
    return {LABELS: sha256(path)}
