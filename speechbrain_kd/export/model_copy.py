"""``--to speechbrain``: a model's own files in a folder that may be moved."""

import logging
import shutil
from collections.abc import Mapping, MutableMapping
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from ruamel.yaml import YAML

from speechbrain_kd.atomic import atomic_path
from speechbrain_kd.export.speechbrain_folder import refuse_foreign
from speechbrain_kd.model_sources import export_folder
from speechbrain_kd.teachers.hub import MissingFileError, Source, locate
from speechbrain_kd.teachers.speechbrain import PROJECTOR, SpeechBrainTeacher
from speechbrain_kd.training_data import FILE

logger = logging.getLogger(__name__)

_YAML = "hyperparams.yaml"
# What may lie beside a model and is none of its parts.
_BESIDE = (
    *("README.md", "LICENSE", "calibration.json", FILE, PROJECTOR),
    *("label_encoder.txt", "label_encoder.ckpt", "mean_var_norm_emb.ckpt"),
)


def copy_model(
    folder: str | Path, model: SpeechBrainTeacher, allowed: tuple[str, ...] = ()
) -> Path:
    """Writes a model as a folder that SpeechBrain loads from where it lies.

    An export is copied as it is. Yamls of the hub often name the place of each
    file (``pretrained_path``), and would be loaded from there: theirs is
    written without places, and each file gets the name that SpeechBrain looks
    for beside a yaml.

    Arguments
    ---------
    folder : str | Path
        The folder to write; an earlier export there is replaced.
    model : SpeechBrainTeacher
        A run's, an exported folder's or a hub's, as it was loaded.
    allowed : tuple[str, ...]
        Module prefixes beside SpeechBrain's, as it was loaded with.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    FileNotFoundError
        If a file of the model is no longer there.
    ValueError
        If ``folder`` holds something else than an export, what was written
        does not give the model's embeddings, or the model speaks through its
        projector.
    """
    folder = Path(folder)
    if model.projected:
        raise ValueError(
            f"{model.source}: with projector=True it is exported to onnx, "
            "onnx-int8 or web. Its SpeechBrain folder is of its own space, and "
            f"brings {PROJECTOR} along"
        )
    refuse_foreign(folder)
    place = export_folder(model) or model.source
    files = locate(str(place), model.revision)
    with atomic_path(folder) as part:
        part.mkdir()
        text = files.fetch(_YAML).read_text(encoding="utf-8")
        text, names = without_places(text)
        (part / _YAML).write_text(text, encoding="utf-8")
        for name in model.digests:
            if name != _YAML:
                target = names.get(name, name)
                shutil.copyfile(files.fetch(name), part / target)
        _copy_beside(files, part)
        _check(part, model, allowed)
    logger.info("exported to %s", folder)
    return folder


def without_places(text: str) -> tuple[str, dict[str, str]]:
    """Takes the places of files out of a model's yaml.

    Arguments
    ---------
    text : str
        A ``hyperparams.yaml``.

    Returns
    -------
    text : str
        The same if it names no places.
    names : dict[str, str]
        Of each file that it named, the name to give it.

    Example
    -------
    >>> text, names = without_places(
    ...     "place: ann/tiny\\npretrainer:\\n    loadables: {a: 1}\\n"
    ...     "    paths:\\n        a: !ref <place>/b.pt\\n"
    ... )
    >>> names, "paths" in text
    ({'b.pt': 'a.ckpt'}, False)
    """
    yaml = YAML()
    yaml.width = 80
    tree = yaml.load(text)
    pretrainer = tree.get("pretrainer")
    if not isinstance(pretrainer, MutableMapping):
        return text, {}
    if not {"paths", "collect_in"} & set(pretrainer):
        return text, {}
    paths = pretrainer.pop("paths", None)
    pretrainer.pop("collect_in", None)
    stream = StringIO()
    yaml.dump(tree, stream)
    names = {}
    if isinstance(paths, Mapping):
        for name, path in paths.items():
            names[_plain(path).rpartition("/")[2]] = f"{name}.ckpt"
    return stream.getvalue(), names


def _plain(value: Any) -> str:
    """The text of a scalar, with or without a tag."""
    return str(getattr(value, "value", value))


def _copy_beside(files: Source, part: Path) -> None:
    """Copies what lies beside a model, where it is there."""
    for name in _BESIDE:
        if (part / name).exists():
            continue
        try:
            found = files.fetch(name)
        except MissingFileError:
            continue
        if found.resolve().is_file():
            shutil.copyfile(found, part / name)


@torch.no_grad()
def _check(
    part: Path, model: SpeechBrainTeacher, allowed: tuple[str, ...]
) -> None:
    """Loads what was written, and compares it on noise."""
    copied = SpeechBrainTeacher(str(part), allowed=allowed)
    generator = torch.Generator().manual_seed(1986)
    wavs = 0.1 * torch.randn(2, 20011, generator=generator)
    lens = torch.ones(2)
    gap = (copied.encode(wavs, lens) - model.encode(wavs, lens)).abs().max()
    # Written so that a NaN fails.
    if not gap <= 1e-5:
        raise ValueError(
            f"{model.source}: its copy gives other embeddings, by {gap:.1e}: "
            "its yaml names files in a way that a folder cannot"
        )
