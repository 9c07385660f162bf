"""Files from a hub: what is asked, asked again and refused."""

import pytest
import torch
from small_hub import COMMIT, TINY, Fault, copy_of
from teacher_layout import write_model

from speechbrain_kd.teachers import SpeechBrainTeacher
from speechbrain_kd.teachers.hub import MissingFileError, locate

SECOND = "b" * 40
WEIGHTS = "embedding_model.ckpt"


def test_a_second_run_downloads_nothing(served, wavs):
    first = SpeechBrainTeacher(TINY)
    assert len(served.of("GET", "?cdn")) == 3
    assert first.revision == COMMIT
    served.forget()
    second = SpeechBrainTeacher(TINY)
    assert not served.of("GET")
    assert {path.rpartition("/")[2] for path in served.asked} == {
        "hyperparams.yaml"
    }
    assert torch.equal(first.embed(wavs), second.embed(wavs))
    served.forget()
    SpeechBrainTeacher(TINY, revision=COMMIT)
    assert not served.asked


def test_offline(served, wavs, monkeypatch, waits):
    online = SpeechBrainTeacher(TINY, revision="v1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    served.forget()
    offline = SpeechBrainTeacher(TINY, revision="v1")
    assert torch.equal(online.embed(wavs), offline.embed(wavs))
    assert offline.revision == COMMIT
    with pytest.raises(FileNotFoundError, match="HF_HUB_OFFLINE"):
        SpeechBrainTeacher("speechbrain/other")
    assert not served.asked
    assert not waits


@pytest.mark.parametrize("status", [0, 500, 429])
def test_a_hub_that_is_gone(served, wavs, monkeypatch, waits, status):
    before = SpeechBrainTeacher(TINY).embed(wavs)
    if status:
        served.faults.append(Fault(status))
    else:
        nobody = "http://127.0.0.1:9/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(
            "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", nobody
        )
    assert torch.equal(SpeechBrainTeacher(TINY).embed(wavs), before)
    with pytest.raises(FileNotFoundError) as info:
        locate("speechbrain/other").fetch(WEIGHTS)
    reason = f"answered {status}" if status else "onnect"
    assert reason in str(info.value)
    assert waits


@pytest.mark.parametrize("file", ["hyperparams.yaml", WEIGHTS])
def test_missing_file(served, ecapa, waits, file):
    (ecapa / file).unlink()
    with pytest.raises(MissingFileError) as info:
        SpeechBrainTeacher(TINY)
    assert f"{file} of the teacher {TINY} (revision " in str(info.value)
    assert "it has no such file" in str(info.value)
    assert not waits


def test_what_a_commit_lacks_is_asked_once(served, ecapa):
    (ecapa / "classifier.ckpt").unlink()
    for _ in range(2):
        source = locate(TINY, COMMIT)
        source.fetch("hyperparams.yaml")
        with pytest.raises(MissingFileError):
            source.fetch("classifier.ckpt")
    assert len(served.of("HEAD", "classifier.ckpt")) == 1


def test_a_changed_revision(served, tmp_path, wavs):
    old = SpeechBrainTeacher(TINY)
    other = write_model(tmp_path / "other", seed=4)
    served.publish(TINY, other, SECOND)
    new = SpeechBrainTeacher(TINY)
    assert (old.revision, new.revision) == (COMMIT, SECOND)
    assert not torch.equal(old.embed(wavs), new.embed(wavs))
    for pinned in (COMMIT, "v1"):
        again = SpeechBrainTeacher(TINY, revision=pinned)
        assert torch.equal(again.embed(wavs), old.embed(wavs))
        assert again.revision == COMMIT


def test_all_files_are_of_one_commit(served, ecapa, tmp_path):
    source = locate(TINY)
    source.fetch("hyperparams.yaml")
    other = copy_of(ecapa, tmp_path / "other")
    (other / WEIGHTS).write_bytes(b"of another commit")
    served.publish(TINY, other, SECOND)
    path = source.fetch(WEIGHTS)
    assert path.read_bytes() == (ecapa / WEIGHTS).read_bytes()
    assert source.revision_found == source.config.revision == COMMIT


def test_another_commit_than_asked_for(served):
    served.names[TINY][SECOND] = COMMIT
    with pytest.raises(ValueError, match=f"commit {COMMIT} where {SECOND}"):
        SpeechBrainTeacher(TINY, revision=SECOND)


@pytest.mark.parametrize(
    "place, revision, reason",
    [
        ("speechbrain/none", None, "answered 401.* private or gated"),
        (TINY, "v9", r"\(revision v9\).* no such revision"),
    ],
)
def test_what_is_not_there(served, waits, place, revision, reason):
    with pytest.raises(FileNotFoundError, match=reason):
        SpeechBrainTeacher(place, revision=revision)
    assert not waits


@pytest.mark.parametrize("status", [401, 403])
def test_a_gated_repository(served, waits, status):
    gated = {"X-Error-Code": "GatedRepo"}
    served.faults.append(Fault(status, headers=gated))
    with pytest.raises(FileNotFoundError, match="gated.*hf auth login"):
        SpeechBrainTeacher(TINY)
    assert not waits


@pytest.mark.parametrize("method", ["HEAD", "GET"])
@pytest.mark.parametrize("status", [429, 503])
def test_waits_as_long_as_the_hub_asks(
    served, ecapa, waits, caplog, method, status
):
    asked = {"Retry-After": "17"}
    served.faults.append(Fault(status, WEIGHTS, method, 2, asked))
    path = locate(TINY).fetch(WEIGHTS)
    assert path.read_bytes() == (ecapa / WEIGHTS).read_bytes()
    assert max(waits) in (17, 18)
    assert str(status) in caplog.text


def test_an_error_for_a_moment(served, waits, caplog):
    served.faults.append(Fault(500, WEIGHTS, "GET", 1))
    SpeechBrainTeacher(TINY)
    assert waits == [1.0]
    assert f"{WEIGHTS} of {TINY}: the hub answered 500; trying" in caplog.text


def test_an_error_for_ever(served, waits):
    served.faults.append(Fault(500, WEIGHTS))
    with pytest.raises(FileNotFoundError, match=f"{WEIGHTS}.* answered 500"):
        SpeechBrainTeacher(TINY)
    assert len(served.of("HEAD", WEIGHTS)) < 40
    assert sum(waits) < 120


@pytest.mark.parametrize("file", ["../x", "/etc/passwd", "a\\b", "", "a/../b"])
@pytest.mark.parametrize("on_hub", [True, False])
def test_a_name_that_leaves_the_source(served, ecapa, file, on_hub):
    source = locate(TINY if on_hub else str(ecapa))
    with pytest.raises(ValueError, match="is no name of a file in"):
        source.fetch(file)
    assert not served.asked


def test_the_log_says_what_to_pin(served, caplog):
    caplog.set_level("INFO")
    SpeechBrainTeacher(TINY)
    assert f"(revision main) is of the commit {COMMIT}" in caplog.text


def test_a_folder_in_a_repository(served, ecapa):
    (ecapa / "onnx").mkdir()
    (ecapa / "onnx" / "model.onnx").write_bytes(b"model")
    source = locate(TINY)
    assert source.fetch("onnx/model.onnx").read_bytes() == b"model"
    assert source.revision_found == COMMIT
