"""Audio without labels: what is listed, what is refused, how it is mixed."""

import csv
import os
import shutil
from collections import Counter
from pathlib import Path

import pytest
from torch.utils.data import DataLoader

from speechbrain_kd.contamination import exposures
from speechbrain_kd.data.crops import Crops
from speechbrain_kd.data.mixed import (
    NO_LABEL,
    MixedDataset,
    check_share,
    tables_of,
)
from speechbrain_kd.data.pipeline import (
    collate,
    make_dataset,
    make_label_encoder,
)
from speechbrain_kd.data.prepare import prepare_corpus
from speechbrain_kd.data.unlabelled import forget_unlabelled, prepare_unlabelled
from speechbrain_kd.data.views import Views
from speechbrain_kd.distributed.sampler import GlobalBatchSampler
from speechbrain_kd.experiment import Experiment
from speechbrain_kd.training_data import training_data

REALVOX = Path("/work/shared/realvox")


@pytest.fixture(scope="module")
def corpus(tiny_corpus, tmp_path_factory):
    save = tmp_path_factory.mktemp("unlabelled")
    return prepare_corpus(tiny_corpus, save, progressbar=False)


@pytest.fixture
def folder(corpus, tmp_path):
    """Seven files of training speakers, some of them flat, some linked."""
    folder = tmp_path / "audio"
    source = corpus.data_folders[0] / "wav"
    (folder / "deep" / "er").mkdir(parents=True)
    for number in range(1, 4):
        name = f"{number:05d}.wav"
        shutil.copy(source / "id00000" / "rec0" / name, folder / name)
        link = folder / "deep" / "er" / name
        link.symlink_to(source / "id00001" / "rec0" / name)
    (folder / "linked").symlink_to(source / "id00002" / "rec1")
    (folder / "notes.txt").write_text("no audio")
    (folder / "deep" / "loop").symlink_to(folder)
    return folder


def listed(folder, corpus, save, **options):
    path = prepare_unlabelled(
        folder, corpus, save, progressbar=False, **options
    )
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_a_folder_is_listed_with_its_links(folder, corpus, tmp_path):
    rows = listed(folder, corpus, tmp_path)
    assert [row["ID"] for row in rows] == [
        *(f"unlabelled/0000{number}.wav" for number in (1, 2, 3)),
        *(f"unlabelled/deep/er/0000{number}.wav" for number in (1, 2, 3)),
        *(f"unlabelled/linked/0000{number}.wav" for number in (1, 2, 3)),
    ]
    assert all(Path(row["wav"]).is_file() for row in rows)
    assert all(
        abs(int(row["stop"]) / 16000 - float(row["duration"])) < 1e-4
        for row in rows
    )
    # Nothing is read again, until something changes.
    path = tmp_path / "unlabelled.csv"
    before = path.stat().st_mtime_ns
    listed(folder, corpus, tmp_path)
    assert path.stat().st_mtime_ns == before
    (folder / "00001.wav").unlink()
    assert len(listed(folder, corpus, tmp_path)) == len(rows) - 1


def test_what_cannot_be_read(folder, corpus, tmp_path):
    (folder / "bad.wav").write_bytes(b"RIFF")
    with pytest.raises(ValueError, match=r"1 of 10 files .*bad\.wav"):
        listed(folder, corpus, tmp_path)
    assert len(listed(folder, corpus, tmp_path, on_broken="drop")) == 9
    with pytest.raises(FileNotFoundError, match="unlabelled_folder: no folder"):
        listed(tmp_path / "nowhere", corpus, tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="unlabelled_folder: no audio .* in"):
        listed(tmp_path / "empty", corpus, tmp_path)


def test_audio_of_the_trial_list_is_refused(folder, corpus, tmp_path):
    source = corpus.data_folders[0] / "wav"
    shutil.copy(source / "id00006" / "rec1" / "00002.wav", folder / "x.wav")
    with pytest.raises(ValueError, match=r"1 files .* veri_test.txt.* x\.wav"):
        listed(folder, corpus, tmp_path)
    rows = listed(folder, corpus, tmp_path, allow_contaminated=True)
    assert len(rows) == 10
    (folder / "x.wav").unlink()
    os.makedirs(folder / "id00007")
    # Another recording of a speaker who is tested: the folder tells.
    shutil.copy(folder / "00001.wav", folder / "id00007" / "new.wav")
    with pytest.raises(ValueError, match=r"speakers .* id00007/new\.wav"):
        listed(folder, corpus, tmp_path)


def test_nobody_knows_whom_the_model_has_met(tiny_corpus, folder, tmp_path):
    corpus = prepare_corpus(tiny_corpus, tmp_path, progressbar=False)
    assert exposures(corpus, [])["model"].mark == ""
    listed(folder, corpus, tmp_path)
    assert exposures(corpus, [])["model"].label == (
        "not known: itself (unlabelled audio of audio)"
    )
    record = training_data(corpus.train_csv, "tiny")
    assert record["learners"][0]["unknown"] == ["unlabelled audio of audio"]
    forget_unlabelled(tmp_path)
    assert exposures(corpus, [])["model"].mark == ""


@pytest.mark.skipif(not REALVOX.is_dir(), reason=f"{REALVOX} is not there")
def test_realvox(tmp_path):
    corpus = prepare_corpus(REALVOX, tmp_path, progressbar=False)
    files = sum(1 for _ in (REALVOX / "unlabelled").iterdir())
    rows = listed(REALVOX / "unlabelled", corpus, tmp_path)
    assert len(rows) == files > 100
    with pytest.raises(ValueError, match="of the speakers or utterances of"):
        listed(REALVOX / "wav", corpus, tmp_path)


def mixed(folder, corpus, save, crops=None, share=0.5):
    path = prepare_unlabelled(folder, corpus, save, progressbar=False)
    encoder = make_label_encoder(corpus.speakers, save / "labels.txt")
    crops = crops or Crops(0.5, seed=1)
    stores = None
    if isinstance(crops, Views):
        stores = {crops.frames: NoStore()}
    known = make_dataset(
        corpus.train_csv, corpus.data_root, crops, encoder, stores
    )
    unknown = make_dataset(path, None, crops, None, stores)
    return MixedDataset(known, unknown, crops, share)


class NoStore:
    dim = 3

    def read(self, utterance, view, crop_sum):
        return None


def batches(data, epoch, rank=0, world=1, size=4, start=0, workers=0):
    """What a rank hears in an epoch: ids, labels, sums of the waveforms."""
    order = GlobalBatchSampler(
        len(data), size // world, seed=1, rank=rank, world=world
    )
    order.resume_at(start)
    order.set_epoch(epoch)
    data.crops.set_epoch(epoch)
    loader = DataLoader(
        data, batch_sampler=order, collate_fn=collate, num_workers=workers
    )
    return [
        list(
            zip(
                batch.id,
                batch.spk_id_encoded.data.flatten().tolist(),
                batch.sig.data.double().sum(1).tolist(),
                strict=True,
            )
        )
        for batch in loader
    ]


@pytest.mark.parametrize(
    ("share", "beside"), [(0.5, 4), (0.75, 12), (0.2, 1), (0.6, 6)]
)
def test_a_batch_holds_its_share(folder, corpus, tmp_path, share, beside):
    data = mixed(folder, corpus, tmp_path, share=share)
    assert len(data) == 24
    for rows in batches(data, epoch=1):
        assert len(rows) == 4 + beside
        assert all(label >= 0 for _, label, _ in rows[:4])
        assert all(label <= NO_LABEL for _, label, _ in rows[4:])
        assert all(name.startswith("unlabelled/") for name, *_ in rows[4:])


def test_each_comes_in_turn_and_epochs_differ(folder, corpus, tmp_path):
    data = mixed(folder, corpus, tmp_path)
    seen, epochs = Counter(), []
    for epoch in range(1, 4):  # 72 of 9 utterances
        rows = sum(batches(data, epoch), [])
        names = [name for name, label, _ in rows if label < 0]
        seen.update(names)
        epochs.append(names)
    assert set(seen.values()) == {8}
    assert epochs[0] != epochs[1] != epochs[2]
    assert sum(batches(data, 2), []) == sum(batches(data, 2), [])


def test_workers_ranks_and_a_resume_change_nothing(folder, corpus, tmp_path):
    data = mixed(folder, corpus, tmp_path)
    whole = batches(data, epoch=2)
    assert batches(data, epoch=2, workers=1) == whole
    ranks = [batches(data, 2, rank, world=2) for rank in range(2)]
    for rows, one, other in zip(whole, *ranks, strict=True):
        assert sorted(rows) == sorted(one + other)
        assert len(one) == len(other) == 4
    assert batches(data, epoch=2, start=8) == whole[2:]


def test_views_of_both_are_asked_for(folder, corpus, tmp_path):
    data = mixed(folder, corpus, tmp_path, Views(0.5, 1, 3))
    data.crops.set_epoch(2)
    batch = collate(data.__getitems__([0, 1]))
    assert [one.utterance for one in batch.heard] == batch.id
    assert {one.view for one in batch.heard} == {1}
    assert batch.target.data.shape == (4, 3)
    assert [len(table) for table in tables_of(data)] == [24, 9]


@pytest.mark.parametrize("share", [0, 1, 1.5, "half", True, None])
def test_shares_that_are_none(share):
    with pytest.raises(ValueError, match="unlabelled_share: expected a share"):
        check_share(share)


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"stream": True}, "read by random access, and stream is True"),
        ({"unlabelled_share": 2}, "unlabelled_share: expected a share"),
        ({"teacher": None, "distillation": None}, "needs a teacher and dist"),
    ],
)
def test_an_experiment_is_refused_before_anything_is_made(settings, what):
    hparams = Path(__file__).parents[2] / "hparams" / "student.yaml"
    with pytest.raises(ValueError, match=what):
        Experiment(hparams, {"unlabelled_folder": "/audio"} | settings)
