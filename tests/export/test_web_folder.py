"""The folder of the page: whole, of this place alone, or not there."""

import json
import re
import shutil

import pytest
from small_onnx import CALIBRATION, write
from small_web import pin, write_archive

from speechbrain_kd.export.web_folder import export_web
from speechbrain_kd.runtime import SpeakerVerifier

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("web") / "tiny.onnx"
    write(path)
    return path


@pytest.fixture
def archive(tmp_path, monkeypatch):
    path = write_archive(tmp_path / "ort.tgz")
    pin(monkeypatch, path)
    return path


def test_facts_and_files(model, archive, tmp_path):
    folder = export_web(tmp_path / "page", model, archive)
    facts = json.loads((folder / "model.json").read_text())
    known = SpeakerVerifier(model)
    assert facts["threshold"] == CALIBRATION["eer_threshold"]
    assert [facts["slope"], facts["offset"]] == [8.0, -4.0]
    assert facts["sha256"] == known.facts.digest
    assert facts["window_s"] == known.window_s
    assert facts["bytes"] == model.stat().st_size
    assert (folder / "model.onnx").read_bytes() == model.read_bytes()
    assert not (tmp_path / "escaped").exists()


def test_a_page_asks_its_own_folder_alone(model, archive, tmp_path):
    folder = export_web(tmp_path / "page", model, archive)
    html = (folder / "index.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in html and "connect-src 'self'" in html
    for path in (*folder.glob("*.js"), *folder.glob("*.css")):
        text = path.read_text(encoding="utf-8")
        html += re.sub(r"http://127\.0\.0\.1:8000", "", text)
        for name in re.findall(r'(?:from |import\()"\./([^"]+)"', text):
            assert (folder / name).is_file(), (path, name)
    assert not re.search(r"https?://|@import|url\(", html)
    for name in re.findall(r'(?:src|href)="([^"]+)"', html):
        assert name == "data:," or (folder / name).is_file(), name


def test_what_stands_there(model, archive, tmp_path):
    page = export_web(tmp_path / "page", model, archive)
    (page / "old.js").touch()
    assert not (export_web(page, model, archive) / "old.js").exists()
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").touch()
    with pytest.raises(ValueError, match="other: expected a new folder, an"):
        export_web(other, model, archive)
    shutil.copy(archive, other / "model.json")
    with pytest.raises(ValueError, match="there is something else"):
        export_web(other, model, archive)
    with pytest.raises(ValueError, match="there is something else"):
        export_web(archive, model, archive)


def test_no_model(archive, tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no model"):
        export_web(tmp_path / "page", tmp_path / "no.onnx", archive)
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    with pytest.raises(ValueError, match="is no ONNX model"):
        export_web(tmp_path / "page", tmp_path / "bad.onnx", archive)
    assert not (tmp_path / "page").exists()
