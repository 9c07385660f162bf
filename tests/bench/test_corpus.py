"""The corpus that measurements read."""

import torch

from speechbrain_kd import inputs
from speechbrain_kd.bench import corpus
from speechbrain_kd.bench.common import Options


def test_a_data_folder_is_prepared_in_work(tiny_corpus, tmp_path):
    options = Options(data_folder=str(tiny_corpus), work=tmp_path)
    found = corpus.corpus_of(options)
    assert found.train_csv.parent == tmp_path / "prepared"
    assert len(found.speakers) == 6
    both = corpus.rows_of(found, "train", "valid")
    train = corpus.rows_of(found, "train")
    assert len(both) == 36 and both[: len(train)] == train


def test_crops_are_taken_again_where_there_are_few(tiny_corpus, tmp_path):
    options = Options(data_folder=str(tiny_corpus), work=tmp_path)
    number = len(corpus.rows_of(corpus.corpus_of(options), "train"))
    crops = corpus.real_crops(options, number + 1)
    assert crops.shape == (number + 1, 32000)
    assert torch.equal(crops[0], crops[-1])
    assert not torch.equal(crops[0], crops[1])


def test_the_embedded_corpus_is_made(tiny_corpus, tmp_path, monkeypatch):
    from speechbrain_kd.data import minivox

    monkeypatch.setattr(inputs, "MINIVOX_FOLDER", tiny_corpus)
    monkeypatch.setattr(minivox, "make_minivox", lambda folder: folder)
    monkeypatch.setitem(corpus.EMBEDDED, "minivox", 4)
    found = corpus.corpus_of(Options(data_folder="minivox", work=tmp_path))
    assert found.data_folders == [tiny_corpus] and len(found.speakers) == 4
