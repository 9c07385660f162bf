"""The folder that is published: an export, its card for a hub, its results.

It is written beside, loaded strictly, as a stranger would, and only then gets
its name. Paths of this machine stay here: of each, its last part is told.
"""

import json
import logging
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from speechbrain_kd.atomic import atomic_path, is_foreign
from speechbrain_kd.evaluation.seen import Learner
from speechbrain_kd.export.hub_results import HubResults, read_results
from speechbrain_kd.export.model_card_hub import HEARD, HubFacts, hub_card
from speechbrain_kd.teachers.speechbrain import SpeechBrainTeacher
from speechbrain_kd.training_data import FILE, read_learners

logger = logging.getLogger(__name__)

#: Files of an export that may be published; others are refused by name.
PUBLISHED = (
    "hyperparams.yaml",
    "README.md",
    "label_encoder.txt",
    "calibration.json",
    FILE,
    "LICENSE",
)
_SUFFIXES = (".ckpt", ".onnx")
_CARD, _RESULTS = "README.md", "results.json"
# A path from the root, neither within another nor in a URL.
_PLACE = re.compile(r"(?<![\w:/.~-])~?/(?:[^\s/`\"',;()]+/)+([^\s/`\"',;()]+)")
_DATASET = re.compile(r"[\w.-]+(/[\w.-]+)?", re.ASCII)


def without_places(text: str) -> str:
    """Shortens the paths of this machine to their last part.

    Arguments
    ---------
    text : str
        Any text.

    Returns
    -------
    str
        The same; URLs and ids such as ``user/model`` are left alone.

    Example
    -------
    >>> without_places("of /home/ann/cam.onnx, see https://a.org/b/c")
    'of cam.onnx, see https://a.org/b/c'
    """
    return _PLACE.sub(r"\1", text)


def write_hub_folder(
    run: str | Path,
    folder: str | Path,
    repo_id: str,
    *,
    licence: str | None = None,
    revision: str | None = None,
    datasets: Sequence[str] = (),
    allowed: Sequence[str] = (),
    draws: int = 1000,
) -> Path:
    """Writes what is to be published of a run.

    Arguments
    ---------
    run : str | Path
        A finished run folder.
    folder : str | Path
        Where to write; an earlier folder of this kind is replaced.
    repo_id : str
        ``user/model`` on the hub.
    licence : str | None
        The hub's name of the licence of the weights, such as ``apache-2.0``.
    revision : str | None
        The branch that it goes to, where that is not ``main``.
    datasets : Sequence[str]
        The hub's ids of the training data; by default the names that
        ``training_data.json`` has.
    allowed : Sequence[str]
        Module prefixes beside SpeechBrain's, whose classes the model needs.
    draws : int
        Of the bootstrap that makes the intervals.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    FileNotFoundError
        If there is no such run, or it has not finished.
    ValueError
        If the export holds what is not published or does not load, or the
        results are not of this model.
    """
    run, folder = Path(run), Path(folder)
    export = _export_of(run)
    files = _files(export)
    _refuse_foreign(folder)
    results = read_results(run, draws)
    with atomic_path(folder) as part:
        part.mkdir()
        for file in files:
            shutil.copyfile(file, part / file.name)
        learners = _tidy_learners(part / FILE)
        facts = HubFacts(
            repo_id,
            results,
            learners,
            _embedding_dim(part, results, allowed),
            _named(part, learners),
            list(datasets) or _datasets(learners),
            licence,
            revision,
        )
        card = hub_card((export / _CARD).read_text("utf-8"), facts)
        (part / _CARD).write_text(without_places(card), encoding="utf-8")
        if results is not None:
            text = json.dumps(results.to_dict(), indent=2, ensure_ascii=False)
            text = without_places(text) + "\n"
            (part / _RESULTS).write_text(text, encoding="utf-8")
    return folder


def _export_of(run: Path) -> Path:
    """The export of a finished run."""
    export = run / "export"
    if not run.is_dir():
        raise FileNotFoundError(f"{run}: there is no such run folder")
    for name in ("hyperparams.yaml", "embedding_model.ckpt", _CARD):
        if not (export / name).is_file():
            raise FileNotFoundError(
                f"{run} is no finished run: there is no {export / name}. "
                "Its training has not come to its end; run the same "
                "train_kd.py command again, which goes on from there"
            )
    return export


def _files(export: Path) -> list[Path]:
    """The files to publish; raises where there is anything else."""
    files = sorted(export.iterdir())
    for file in files:
        known = file.name in PUBLISHED or file.suffix in _SUFFIXES
        if file.is_symlink() or not file.is_file() or not known:
            raise ValueError(
                f"{file} is not published: expected files that an export "
                f"writes ({', '.join(PUBLISHED)}, *.ckpt, *.onnx) and no "
                "links; take it out of the folder"
            )
    return files


def _refuse_foreign(folder: Path) -> None:
    """Only an empty folder or one of this kind is written over."""

    def has_card(one: Path) -> bool:
        card = one / _CARD
        return card.is_file() and f"## {HEARD}" in card.read_text("utf-8")

    if is_foreign(folder, has_card):
        raise ValueError(
            f"{folder} exists and is not a folder for a hub, so it is not "
            "replaced; give another --output"
        )


def _tidy_learners(path: Path) -> list[Learner]:
    """Takes the paths out of the record of the training, and reads it."""
    if not path.is_file():
        return []
    facts = json.loads(path.read_bytes())
    for one in [*facts.get("learners", ()), *facts.get("teachers", ())]:
        for key in ("who", "source"):
            if isinstance(one.get(key), str):
                one[key] = without_places(one[key])
    path.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return read_learners(path)


def _embedding_dim(
    part: Path, results: HubResults | None, allowed: Sequence[str]
) -> int:
    """Loads the folder strictly, and compares it with what was measured."""
    model = SpeechBrainTeacher(str(part), allowed=allowed)
    parameters = sum(one.numel() for one in model.embedding_model.parameters())
    for name, values in results.systems.items() if results else ():
        told = values.get("params")
        if name != "teacher" and told not in (None, parameters):
            raise ValueError(
                f"the export has {parameters:,} parameters and the {name} of "
                f"report/results.json {told:,}: they are not of one training"
            )
    return model.embedding_dim


def _named(part: Path, learners: Sequence[Learner]) -> int:
    """How many speakers the files name, those of the training itself."""
    encoder = part / "label_encoder.txt"
    ids = set()
    for one in learners[:1]:
        ids.update(*(known.ids for known in one.sets))
    if not ids and encoder.is_file():
        return encoder.read_text("utf-8").count(" => ")
    return len(ids)


def _datasets(learners: Sequence[Learner]) -> list[str]:
    """What the model itself was trained on, where that is a hub's id."""
    names = [known.name for one in learners[:1] for known in one.sets]
    return sorted({name for name in names if _DATASET.fullmatch(name)})
