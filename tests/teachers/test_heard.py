"""What teachers are asked about, and that they are asked once."""

import shutil

import pytest
import soundfile
import torch
from small_teachers import Bands, hear

from speechbrain_kd.teachers import asking


def test_the_middle_of_each_utterance_is_asked_once(tiny_corpus, tmp_path):
    heard = hear(tiny_corpus, tmp_path).some(seconds=0.5)
    teacher = Bands()
    found = heard.embeddings(teacher)
    for row, name in enumerate(heard.utterances):
        wav = torch.from_numpy(
            soundfile.read(tiny_corpus / name, dtype="float32")[0]
        )
        start = (len(wav) - 8000) // 2
        expected = teacher.embed(wav[None, start : start + 8000])[0]
        assert torch.allclose(found[row], expected, atol=1e-5)
        assert heard.speakers[row] == name.split("/")[1]
    asked = len(teacher._heard)
    again = hear(tiny_corpus, tmp_path).some(seconds=0.5)
    assert torch.equal(again.embeddings(Bands()), found)
    assert torch.equal(again.embeddings(teacher), found)
    assert len(teacher._heard) == asked == 2 * len(heard) == 72


def test_what_differs_is_asked_anew(tiny_corpus, tmp_path, caplog):
    corpus = tmp_path / "corpus"
    shutil.copytree(tiny_corpus, corpus)
    heard = hear(corpus, tmp_path)
    first = heard.embeddings(Bands())
    assert not torch.equal(heard.embeddings(Bands(start=1)), first)
    longer = heard.some(seconds=0.7).embeddings(Bands())
    assert not torch.equal(longer, first)
    path = corpus / heard.utterances[0]
    wav, rate = soundfile.read(path)
    soundfile.write(path, wav * 0.1, rate, subtype="PCM_16")
    changed = hear(corpus, tmp_path).embeddings(Bands())
    assert not torch.equal(changed[0], first[0])
    assert torch.equal(changed[1:], first[1:])
    for file in (tmp_path / "learned").iterdir():
        file.write_bytes(file.read_bytes()[:100])
    assert torch.equal(hear(corpus, tmp_path).embeddings(Bands()), changed)
    assert "damaged and is made anew" in caplog.text


def test_some_utterances_of_each_speaker_in_all_recordings(
    tiny_corpus, tmp_path
):
    some = hear(tiny_corpus, tmp_path).some(per_speaker=2)
    assert len(some) == 12 and len(set(some.speakers)) == 6
    recordings = {name.rsplit("/", 1)[0] for name in some.utterances}
    assert len(recordings) == 12
    assert len(hear(tiny_corpus, tmp_path).some(per_speaker=99)) == 36


def test_what_was_asked_before_a_stop_is_not_asked_again(
    tiny_corpus, tmp_path, monkeypatch
):
    monkeypatch.setattr(asking, "_AT_ONCE", 4)
    monkeypatch.setattr(asking, "_KEPT", 2)
    corpus = tmp_path / "corpus"
    shutil.copytree(tiny_corpus, corpus)
    expected = hear(corpus, tmp_path / "other").embeddings(Bands())
    heard = hear(corpus, tmp_path)
    broken = corpus / heard.utterances[21]
    whole = broken.read_bytes()
    broken.write_bytes(whole[:1000])
    teacher = Bands()
    with pytest.raises(ValueError, match=broken.name):
        heard.embeddings(teacher)
    kept = sorted((tmp_path / "learned").glob("asked-*"))
    assert len(kept) == 2  # of 8 utterances each
    broken.write_bytes(whole)
    teacher._heard.clear()
    kept[0].write_bytes(b"damaged")
    again = hear(corpus, tmp_path)
    assert torch.equal(again.embeddings(teacher), expected)
    assert len(teacher._heard) == len(heard) - 8
    assert not [*(tmp_path / "learned").glob("asked-*")]


def test_what_is_no_number_is_refused_and_not_kept(tiny_corpus, tmp_path):
    teacher = Bands()
    teacher.encode = lambda wavs, lens: torch.full((len(wavs), 4), torch.nan)
    with pytest.raises(ValueError, match="bands 4 .* no number for 36 of 36"):
        hear(tiny_corpus, tmp_path).embeddings(teacher)
    assert not [*(tmp_path / "learned").iterdir()]
