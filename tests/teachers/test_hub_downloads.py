"""Downloads that break off or arrive damaged, and the cache they leave."""

import pytest
import torch
from small_hub import COMMIT, TINY, Fault

from speechbrain_kd.teachers import SpeechBrainTeacher
from speechbrain_kd.teachers.hub import locate

WEIGHTS = "embedding_model.ckpt"


def kept(tmp_path, ending):
    """Files of the cache that end so, but for what is marked as missing."""
    found = (tmp_path / "cache").rglob(f"*{ending}")
    return [path for path in found if ".no_exist" not in path.parts]


def blobs(tmp_path):
    return list((tmp_path / "cache").glob("*/blobs/*"))


def test_a_truncated_download_leaves_nothing(served, waits, tmp_path, wavs):
    served.faults.append(Fault(file=WEIGHTS, method="GET", cut_at=1000))
    with pytest.raises(FileNotFoundError, match=f"{WEIGHTS} of the teacher"):
        SpeechBrainTeacher(TINY)
    assert not kept(tmp_path, WEIGHTS)
    assert not [path for path in blobs(tmp_path) if path.stat().st_size < 1001]
    served.forget()
    assert SpeechBrainTeacher(TINY).embed(wavs).isfinite().all()
    assert served.of("GET", f"{WEIGHTS}?cdn")


def test_an_interrupted_download_goes_on(served, ecapa, waits):
    served.faults.append(Fault(file=WEIGHTS, method="GET", cut_at=9, times=1))
    path = locate(TINY).fetch(WEIGHTS)
    assert path.read_bytes() == (ecapa / WEIGHTS).read_bytes()


def test_other_bytes_than_announced(served, ecapa, waits, tmp_path, caplog):
    garbled = Fault(file=WEIGHTS, method="GET", garbled=True, times=1)
    served.faults.append(garbled)
    path = locate(TINY).fetch(WEIGHTS)
    assert path.read_bytes() == (ecapa / WEIGHTS).read_bytes()
    assert "not the SHA-256 that the hub announced" in caplog.text
    path.resolve().write_bytes(b"damaged on the disk")
    garbled.times = 9
    with pytest.raises(FileNotFoundError, match="not the SHA-256"):
        locate(TINY).fetch(WEIGHTS)
    assert not kept(tmp_path, WEIGHTS)
    assert not blobs(tmp_path)


def test_a_cache_that_is_shared_by_repositories(served, tmp_path, wavs):
    """As the client lays it out since files are kept by their Xet hash."""
    before = SpeechBrainTeacher(TINY, revision=COMMIT).embed(wavs)
    for number, blob in enumerate(blobs(tmp_path)):
        name = f"{number:064x}"
        shared = tmp_path / "cache" / "blobs" / name[:2] / name
        shared.parent.mkdir(parents=True, exist_ok=True)
        blob.rename(shared)
        blob.symlink_to(f"../../blobs/{name[:2]}/{name}")
    again = SpeechBrainTeacher(TINY, revision=COMMIT)
    assert torch.equal(again.embed(wavs), before)
    (weights,) = kept(tmp_path, WEIGHTS)
    weights.resolve().write_bytes(b"damaged on the disk")
    assert torch.equal(SpeechBrainTeacher(TINY).embed(wavs), before)
