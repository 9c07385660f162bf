"""onnxruntime-web: fetched once, pinned, and only what a page needs."""

import pytest
from chromium import served
from small_web import pin, write_archive

from speechbrain_kd.export import web_runtime
from speechbrain_kd.export.web_runtime import find_archive, unpack_runtime

pytest.importorskip("onnxruntime")


@pytest.fixture(autouse=True)
def apart(monkeypatch, tmp_path):
    """An empty cache, and no registry."""
    monkeypatch.delenv(web_runtime.ARCHIVE_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9")
    return tmp_path / "cache"


def test_it_is_fetched_once(monkeypatch, tmp_path):
    place = tmp_path / "registry" / "onnxruntime-web" / "-"
    place.mkdir(parents=True)
    archive = write_archive(place / web_runtime.ARCHIVE)
    pin(monkeypatch, archive)
    with served(tmp_path / "registry") as registry:
        monkeypatch.setenv("npm_config_registry", f"{registry}/")
        found = find_archive()
    assert found.read_bytes() == archive.read_bytes()
    assert find_archive() == found  # the registry has gone
    unpack_runtime(tmp_path / "ort")
    names = {path.name for path in (tmp_path / "ort").iterdir()}
    assert names - {"ThirdPartyNotices.txt"} == {
        *web_runtime.FILES,
        "LICENSE.txt",
    }
    licence = (tmp_path / "ort" / "LICENSE.txt").read_text()
    assert "Microsoft" in licence and web_runtime.VERSION in licence


def test_another_file_is_refused_and_not_kept(monkeypatch, tmp_path, apart):
    place = tmp_path / "onnxruntime-web" / "-"
    place.mkdir(parents=True)
    archive = write_archive(place / web_runtime.ARCHIVE)
    with served(tmp_path) as registry:
        monkeypatch.setenv("npm_config_registry", registry)
        with pytest.raises(ValueError, match="not the .* expected sha512-q0y"):
            find_archive()
    assert not [path for path in apart.rglob("*") if path.is_file()]
    with pytest.raises(ValueError, match="came sha512-"):
        unpack_runtime(tmp_path / "ort", archive)
    assert not (tmp_path / "ort").exists()


def test_where_there_is_none(monkeypatch, tmp_path):
    with pytest.raises(FileNotFoundError, match="npm pack onnxruntime-web@"):
        find_archive()
    with pytest.raises(FileNotFoundError, match="no .*here.tgz: expected"):
        find_archive(tmp_path / "here.tgz")
    monkeypatch.setenv(web_runtime.ARCHIVE_VARIABLE, str(tmp_path / "a.tgz"))
    with pytest.raises(FileNotFoundError, match="no .*a.tgz: expected"):
        find_archive()
    monkeypatch.setattr("sys.argv", ["web_runtime"])
    with pytest.raises(SystemExit, match="web_runtime: error: there is no"):
        web_runtime.main()
