"""Hostile and broken teachers: refused by name, nothing run or written."""

import re
import shutil
from pathlib import Path

import hostile_files
import hostile_yaml
import pytest
from teacher_layout import write_model

from speechbrain_kd.teachers import OnnxTeacher, SpeechBrainTeacher

try:
    import hostile_onnx
    import hostile_weights
except ImportError:  # onnx is an extra of the package
    hostile_onnx = hostile_weights = None

FOLDERS = hostile_yaml.CASES | hostile_files.CASES
MODELS = hostile_weights.CASES if hostile_weights else {}


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """A good folder, to be copied, with an ONNX model beside."""
    folder = tmp_path_factory.mktemp("template")
    write_model(folder / "ecapa")
    if hostile_onnx:
        (folder / "onnx").mkdir()
        hostile_onnx.write_model(folder / "onnx" / hostile_onnx.FILE)
    return folder


@pytest.fixture
def place(tmp_path, template, monkeypatch):
    """A copy of the good folders, beside an empty working folder."""
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    (tmp_path / "ecapa" / "second.yaml").write_text("y: !apply:os.getcwd []\n")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    """All that is below a folder: when it was written, and its size."""
    states = {path: path.lstat() for path in sorted(folder.rglob("*"))}
    return {
        str(path.relative_to(folder)): (state.st_mtime_ns, state.st_size)
        for path, state in states.items()
    }


def check_refusal(case, folder, load):
    """Spoils a folder; loading it must fail by name and leave no trace."""
    place, mark = folder.parent, folder.parent / "mark"
    case.spoil(folder, mark)
    before = tree(place)
    with pytest.raises((ValueError, FileNotFoundError)) as info:
        load()
    message = str(info.value)
    assert case.file in message
    assert re.search(case.words, message), message
    assert not mark.exists()
    assert tree(place) == before


def test_unspoilt_ones_load(place):
    assert SpeechBrainTeacher(place / "ecapa").embedding_dim == 12
    pytest.importorskip("onnxruntime")
    assert OnnxTeacher(place / "onnx" / "model.onnx").embedding_dim == 6


@pytest.mark.parametrize("name", FOLDERS)
def test_refused(name, place):
    folder = place / "ecapa"
    check_refusal(FOLDERS[name], folder, lambda: SpeechBrainTeacher(folder))


@pytest.mark.parametrize("name", MODELS)
def test_onnx_refused(name, place):
    pytest.importorskip("onnxruntime")
    folder = place / "onnx"
    path = folder / hostile_onnx.FILE
    check_refusal(MODELS[name], folder, lambda: OnnxTeacher(path))


def test_links_into_the_cache_of_the_hub_are_sound(place):
    """As ``savedir`` and the cache of Hugging Face are laid out."""
    cache = place / "models--speechbrain--tiny"
    (cache / "blobs").mkdir(parents=True)
    revision = cache / "snapshots" / "0123"
    revision.mkdir(parents=True)
    (place / "saved").mkdir()
    for file in (place / "ecapa").iterdir():
        file.rename(cache / "blobs" / file.name)
        (revision / file.name).symlink_to(f"../../blobs/{file.name}")
        (place / "saved" / file.name).symlink_to(revision / file.name)
    for folder in (revision, place / "saved"):
        assert SpeechBrainTeacher(folder).embedding_dim == 12


@pytest.mark.parametrize("name", ["yaml_apply", "pickle_in_zip", "path_parent"])
def test_refused_from_the_hub(name, hub, ecapa, tmp_path):
    """What is fetched is kept in the cache alone."""
    mark = tmp_path / "mark"
    FOLDERS[name].spoil(ecapa, mark)
    before = tree(tmp_path)
    with pytest.raises(ValueError, match=FOLDERS[name].words):
        SpeechBrainTeacher("speechbrain/tiny")
    after = tree(tmp_path)
    new = {path for path in after if before.get(path) != after[path]}
    assert new and all(Path(path).parts[0] == "cache" for path in new)
    assert not mark.exists()
