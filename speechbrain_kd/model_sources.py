"""From what a user names to a model that embeds.

A model is a run folder, an exported folder, the id of a model on a hub, an
ONNX file, or a yaml fragment of ``hparams/teachers``. ``name=`` before it
says what tables call it, and ``,key=value`` after it gives its class further
arguments: ``campplus=hparams/teachers/campplus_onnx.yaml,source=cam.onnx``. A
dot goes deeper into a fragment: ``prototypes.yaml,teacher.source=cam.onnx``.
"""

import inspect
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import yaml

from speechbrain_kd import teachers
from speechbrain_kd.runtime.model_file import FORMAT
from speechbrain_kd.teachers import Teacher
from speechbrain_kd.teachers.fragment import read_fragment
from speechbrain_kd.teachers.onnx_model import read_model

KINDS = (
    "a run folder (with export/hyperparams.yaml), an exported folder (with "
    "hyperparams.yaml), an ONNX file, a .pt2 file of torch.export, a yaml "
    "fragment of hparams/teachers, or a hub id such as "
    "speechbrain/spkrec-ecapa-voxceleb"
)
_NAME = re.compile(r"([\w.+-]+)=(.+)", re.DOTALL)
_OPTION = re.compile(r"([\w.]+)=(.*)", re.DOTALL)
_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+", re.ASCII)
_YAML = "hyperparams.yaml"


@dataclass(frozen=True)
class ModelSource:
    """A model that is named, not yet loaded.

    Arguments
    ---------
    name : str
        What tables and files call it.
    place : str
        The folder, file or hub id.
    options : dict[str, Any]
        Further arguments of its class.
    """

    name: str
    place: str
    options: dict[str, Any] = field(default_factory=dict)


def parse_models(texts: Sequence[str]) -> list[ModelSource]:
    """Reads the models of a command line.

    Arguments
    ---------
    texts : Sequence[str]
        ``[NAME=]PLACE[,KEY=VALUE]…`` each. A name that is not given is the
        last part of the place (of an export, its run's).

    Returns
    -------
    list[ModelSource]
        In the same order.

    Raises
    ------
    ValueError
        If two have one name.

    Example
    -------
    >>> one, two = parse_models(["ours=results/a", "b/c.onnx,n_mels=24"])
    >>> one.name, two.name, two.options
    ('ours', 'c', {'n_mels': 24})
    """
    sources = [_parse(text) for text in texts]
    names = [source.name for source in sources]
    for source in sources:
        if names.count(source.name) > 1:
            raise ValueError(
                f"two models are called {source.name!r}: name them apart, as "
                f"in first={source.place}"
            )
    return sources


def _parse(text: str) -> ModelSource:
    """Name, place and options of one model."""
    if Path(text).exists():  # whatever signs are in its name
        return ModelSource(_name_of(text), text)
    found = _NAME.fullmatch(text)
    name, rest = found.groups() if found else ("", text)
    place, *options = [rest] if Path(rest).exists() else rest.split(",")
    values = {}
    for option in options:
        pair = _OPTION.fullmatch(option)
        if pair is None:
            raise ValueError(
                f"{text}: expected [NAME=]MODEL[,KEY=VALUE], got {option!r} "
                "after a comma"
            )
        values[pair[1]] = yaml.safe_load(pair[2])
    return ModelSource(name or _name_of(place), place, values)


def _name_of(place: str) -> str:
    """What a model is called that was not named."""
    path = Path(place)
    if path.name == "export" and path.absolute().parent.name:
        path = path.absolute().parent
    stem = path.stem if path.suffix in (".onnx", ".pt2", ".yaml") else path.name
    return re.sub(r"[^\w.+-]", "_", stem) or "model"


def load_model(
    source: ModelSource | str, device: str | torch.device = "cpu"
) -> Teacher:
    """Loads a model, frozen.

    Nothing that a folder, a hub or a fragment holds is run as code: see
    ``teachers/trust.py``.

    Arguments
    ---------
    source : ModelSource | str
        What to load.
    device : str | torch.device
        Where to put it.

    Returns
    -------
    Teacher
        The model.

    Raises
    ------
    FileNotFoundError
        If nothing is there.
    ValueError
        If what is there cannot be used, or an option is none of its class.

    Example
    -------
    >>> load_model("no/such/place.onnx")
    Traceback (most recent call last):
    ...
    FileNotFoundError: ...
    """
    if isinstance(source, str):
        source = _parse(source)
    kind, arguments = recipe_of(source)
    known = set(inspect.signature(kind).parameters)
    unknown = sorted(set(arguments) - known)
    if unknown:
        raise ValueError(
            f"{source.place}: {kind.__name__} has no option {unknown[0]!r}; it "
            f"has {', '.join(sorted(known))}"
        )
    return kind(**arguments).to(device)


def on_one_thread(source: ModelSource, teacher: Teacher) -> Teacher:
    """A model for timing it on one thread of the CPU.

    onnxruntime's threads are those that its session began with, so such a
    model is loaded once more.

    Arguments
    ---------
    source : ModelSource
        What it was loaded from.
    teacher : Teacher
        The model as it was loaded.

    Returns
    -------
    Teacher
        The same one, or another of the same weights.
    """
    kind, arguments = recipe_of(source)
    if not {"num_threads", "provider"} <= set(
        inspect.signature(kind).parameters
    ):
        return teacher
    alone = {"num_threads": 1, "provider": "CPUExecutionProvider"}
    return kind(**(arguments | alone))


def recipe_of(source: ModelSource) -> tuple[type[Teacher], dict[str, Any]]:
    """Finds the class of a model and its keyword arguments.

    Raises
    ------
    FileNotFoundError
        If the place is none of those that can be loaded.
    ValueError
        If a fragment does anything but build a teacher.
    """
    place = Path(source.place)
    given = {"source": source.place}
    if place.suffix in (".yaml", ".yml"):
        return _of_fragment(place, source.options)
    if place.suffix == ".onnx":
        kind = teachers.OnnxTeacher
        given |= _own_features(place)
    elif place.suffix == ".pt2":
        kind = teachers.ExportedTeacher
    elif (place / "export" / _YAML).is_file():
        kind = teachers.RunTeacher
    elif (place / _YAML).is_file():
        kind = teachers.SpeechBrainTeacher
    elif place.exists() or not _HUB_ID.fullmatch(source.place.split("@")[0]):
        raise FileNotFoundError(
            f"{source.place}: there is no model here; expected {KINDS}"
        )
    else:
        kind = teachers.SpeechBrainTeacher
        hub_id, _, revision = source.place.partition("@")
        given = {"source": hub_id} | (
            {"revision": revision} if revision else {}
        )
    return kind, given | source.options


def _own_features(path: Path) -> dict[str, str]:
    """How a file of ``speechbrain-kd export`` is fed: it has its features."""
    model = read_model(path) if path.is_file() else None
    said = {one.key: one.value for one in model.metadata_props} if model else {}
    return {"frontend": "waveform"} if said.get("format") == FORMAT else {}


def _of_fragment(
    path: Path, options: dict[str, Any]
) -> tuple[type[Teacher], dict[str, Any]]:
    """Class and arguments of a yaml fragment.

    Which foreign classes it may name is said by the option ``allowed``, never
    by the fragment: a teacher of its own may have an argument of that name.
    """
    options = dict(options)
    allowed = options.pop("allowed", ())
    if isinstance(allowed, str):
        allowed = [allowed]
    fragment = read_fragment(path, options, allowed)
    takes = inspect.signature(fragment.kind).parameters
    own = {"allowed": list(allowed)} if allowed and "allowed" in takes else {}
    return fragment.kind, fragment.arguments() | own


def run_folder(model: Teacher) -> Path | None:
    """The run that made a model, where its log is there.

    Returns
    -------
    Path | None
        A folder with a ``train_log.txt``.
    """
    place = Path(model.source)
    for folder in (place, place.parent) if place.is_dir() else ():
        if (folder / "train_log.txt").is_file():
            return folder
    return None


def export_folder(model: Teacher) -> Path | None:
    """The exported folder of a model, where it is one or a run's.

    Returns
    -------
    Path | None
        A folder with a ``hyperparams.yaml``.
    """
    for folder in (Path(model.source) / "export", Path(model.source)):
        if (folder / _YAML).is_file():
            return folder
    return None
