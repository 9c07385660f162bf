"""A packed corpus stands for the folder that it was made of."""

import csv
import json
import tarfile

import numpy as np
import pytest
import soundfile
import torch
from speechbrain.dataio.dataset import DynamicItemDataset

from speechbrain_kd.data import (
    audio_info,
    load_audio,
    load_corpus,
    prepare_corpus,
    scan,
)
from speechbrain_kd.data.manifest import read_paths
from speechbrain_kd.data.packed.access import (
    forget_maps,
    parse_reference,
    read_samples,
)
from speechbrain_kd.data.packed.index import open_index
from speechbrain_kd.data.packed.writer import pack_corpus
from speechbrain_kd.evaluation.embed import embed_files

FORMATS = ("int16", "tar")
SPLITS = ("train_csv", "valid_csv", "test_csv")


def prepare(folder, save, **settings):
    return prepare_corpus(folder, save, progressbar=False, **settings)


def rows(path):
    with open(path, newline="") as file:
        return [
            {key: row[key] for key in row if key != "wav"}
            for row in csv.DictReader(file)
        ]


@pytest.mark.parametrize("format", FORMATS)
def test_every_utterance_comes_back_bit_for_bit(tiny_corpus, packs, format):
    index = open_index(packs[format])
    assert len(index.facts["shards"]) > 3
    found = [x for speaker in index.speakers for x in index.utterances(speaker)]
    files = sorted((tiny_corpus / "wav").glob("*/*/*.wav"))
    assert [x.key + x.extension for x in found] == [
        path.relative_to(tiny_corpus / "wav").as_posix() for path in files
    ]
    for item, path in zip(found, files):
        whole = load_audio(path)
        packed = load_audio(str(item.reference))
        assert packed.dtype == torch.float32 and torch.equal(packed, whole)
        assert audio_info(str(item.reference)).frames == len(whole)
        crop = load_audio(str(item.reference), start=1001, frames=5000)
        assert torch.equal(crop, whole[1001:6001])
    over = load_audio(str(item.reference), len(whole) - 10, 100)
    assert torch.equal(over, whole[-10:])
    slow = load_audio(str(item.reference), sample_rate=8000)
    assert torch.equal(slow, load_audio(path, sample_rate=8000))


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("settings", [{}, {"max_speakers": 3, "seed": 5}])
def test_the_same_manifests(tiny_corpus, packs, tmp_path, format, settings):
    plain = prepare(tiny_corpus, tmp_path / "plain", **settings)
    packed = prepare(packs[format], tmp_path / "packed", **settings)
    for split in SPLITS:
        assert rows(getattr(packed, split)) == rows(getattr(plain, split))
    assert packed.speakers == plain.speakers
    assert list(packed.test_files) == list(plain.test_files)
    for name, path in plain.test_files.items():
        assert torch.equal(
            load_audio(packed.test_files[name]), load_audio(path)
        )
    ids, embeddings = embed_files(
        lambda wavs: wavs[:, :8], packed.test_files, progressbar=False
    )
    _, expected = embed_files(
        lambda wavs: wavs[:, :8], plain.test_files, progressbar=False
    )
    assert ids == list(plain.test_files)
    assert torch.equal(embeddings, expected)
    assert packed.trials == packs[format] / "meta" / "veri_test.txt"
    assert load_corpus(tmp_path / "packed") == packed
    found = read_paths(packed.valid_csv, packed.data_root)
    assert list(found) == list(read_paths(plain.valid_csv, plain.data_root))


@pytest.mark.parametrize("format", FORMATS)
def test_preparing_opens_no_audio(packs, tmp_path, monkeypatch, format):
    def opened(path):
        raise AssertionError(f"{path} was opened")

    monkeypatch.setattr(scan, "audio_info", opened)
    prepare(packs[format], tmp_path)


@pytest.mark.parametrize("format", FORMATS)
def test_workers_read_the_same_crops(tiny_corpus, packs, tmp_path, format):
    seen = []
    for folder in (tiny_corpus, packs[format]):
        corpus = prepare(folder, tmp_path / folder.name)
        data = DynamicItemDataset.from_csv(
            corpus.train_csv, replacements={"data_root": corpus.data_root}
        )
        data.add_dynamic_item(
            lambda wav, stop: load_audio(wav, int(stop) // 3, 4000),
            takes=["wav", "stop"],
            provides="sig",
        )
        data.set_output_keys(["id", "sig"])
        data[0]  # the workers inherit an open shard
        loader = torch.utils.data.DataLoader(
            data, batch_size=None, num_workers=2
        )
        seen.append({item["id"]: item["sig"] for item in loader})
    assert seen[0].keys() == seen[1].keys()
    assert all(torch.equal(seen[0][key], seen[1][key]) for key in seen[0])


@pytest.fixture
def mixed(tmp_path):
    """Files that are not 16-bit mono at 16 kHz, in two folders."""
    rng = np.random.default_rng(0)

    def write(name, rate, channels=1, subtype="PCM_16", scale=0.1):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        wav = scale * rng.standard_normal((rate // 2, channels))
        soundfile.write(path, wav, rate, subtype=subtype)
        return path

    return [
        write("dev/wav/id1/a--b-/1.wav", 44100),
        write("dev/wav/id1/a.b/1.flac", 16000, channels=2),
        write("dev/wav/id2/a/1.wav", 16000, subtype="PCM_24"),
        write("dev/wav/id2/a/2.wav", 16000, subtype="FLOAT", scale=1.0),
        write_m4a(tmp_path / "data/test/aac/id3/a/1.m4a"),
        write_m4a(tmp_path / "data/test/aac/id3/a/2.m4a"),
    ]


def write_m4a(path):
    av = pytest.importorskip("av")
    path.parent.mkdir(parents=True, exist_ok=True)
    wav = np.random.default_rng(0).normal(0, 0.1, (1, 8000)).astype("float32")
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(wav, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 16000, 0
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return path


@pytest.mark.parametrize("format", FORMATS)
def test_other_audio_is_converted_as_it_is_read(
    mixed, tmp_path, caplog, format
):
    facts = pack_corpus(
        tmp_path / "data", tmp_path / "pack", format, progressbar=False
    )
    index = open_index(tmp_path / "pack")
    found = [x for speaker in index.speakers for x in index.utterances(speaker)]
    assert [x.extension for x in found] == [path.suffix for path in mixed]
    clipped = 0
    for item, path in zip(found, mixed):
        wav = load_audio(path)
        clipped += int(((wav * 32768).round() > 32767).sum())
        clipped += int(((wav * 32768).round() < -32768).sum())
        packed = load_audio(str(item.reference))
        # Half a step of 16 bits.
        expected = wav.clamp(-1, 32767 / 32768)
        torch.testing.assert_close(packed, expected, atol=1.6e-5, rtol=0)
    assert facts["clipped"] == clipped > 0
    assert f"{clipped} samples of 1 files" in caplog.text
    assert str(mixed[3]) in caplog.text


def test_roles_and_awkward_names(mixed, tmp_path):
    trials = tmp_path / "trials.txt"
    trials.write_text("1 id3/a/1.wav id3/a/2.wav\n")
    settings = {"verification_file": trials, "single_utterance": "train"}
    plain = prepare(tmp_path / "data", tmp_path / "one", **settings)
    for format in FORMATS:
        pack_corpus(
            tmp_path / "data", tmp_path / format, format, progressbar=False
        )
        # id3 lies in a folder named test, which the pack does not have.
        packed = prepare(tmp_path / format, tmp_path / "two", **settings)
        assert packed.speakers == plain.speakers == ["id1", "id2"]
        for split in SPLITS:
            assert rows(getattr(packed, split)) == rows(getattr(plain, split))
        settings_without = settings | {"verification_file": None}
        alone = prepare(tmp_path / format, tmp_path / "3", **settings_without)
        assert alone.speakers == ["id1", "id2"]
        both = read_paths(packed.train_csv, packed.data_root)
        both |= read_paths(packed.valid_csv, packed.data_root)
        assert {"id1/a--b-/1", "id1/a.b/1"} <= set(both)


def test_a_pack_beside_a_folder_and_a_pack_of_a_pack(
    tiny_corpus, packs, tmp_path
):
    both = prepare([packs["int16"], tiny_corpus], tmp_path / "both")
    plain = prepare(tiny_corpus, tmp_path / "plain")
    assert rows(both.train_csv) == rows(plain.train_csv)
    pack_corpus(packs["tar"], tmp_path / "again", progressbar=False)
    one, two = open_index(packs["int16"]), open_index(tmp_path / "again")
    assert one.speakers == two.speakers
    assert (one.rows["crc32"] == two.rows["crc32"]).all()
    assert one.names(0, len(one.rows)) == two.names(0, len(two.rows))


def test_plain_tar_reads_the_shards(tiny_corpus, packs):
    webdataset = pytest.importorskip("webdataset")
    shards = sorted(map(str, packs["tar"].glob("shard-*.tar")))
    seen, speakers = {}, []
    for shard in shards:
        with tarfile.open(shard) as tar:
            for member in tar:
                if member.name.endswith(".json"):
                    facts = json.load(tar.extractfile(member))
                    assert member.name == f"{facts['id']}.json"
                    speakers.append(facts["speaker"])
                else:
                    wav, rate = soundfile.read(tar.extractfile(member))
                    assert rate == 16000
                    seen[member.name] = wav
    assert len(seen) == len(speakers) == 48
    # Mixed, not one speaker after the other.
    assert sum(a != b for a, b in zip(speakers, speakers[1:])) > 20
    data = webdataset.WebDataset(shards, shardshuffle=False)
    again = {sample["__key__"] + ".flac": sample["json"] for sample in data}
    assert again.keys() == seen.keys()
    name = json.loads(again["id00001--rec0--00001.flac"])["name"]
    plain, _ = soundfile.read(tiny_corpus / "wav" / name)
    np.testing.assert_array_equal(seen["id00001--rec0--00001.flac"], plain)


def test_what_is_not_in_a_shard(packs, tmp_path):
    index = open_index(packs["int16"])
    item = index.utterances("id00000")[0]
    reference = parse_reference(str(item.reference))
    with pytest.raises(ValueError, match="from sample 99999 .* the file has"):
        load_audio(str(reference), start=99999)
    with pytest.raises(ValueError, match="within the utterance's"):
        read_samples(reference, 5, reference.size)
    beyond = reference._replace(start=10**7)
    with pytest.raises(ValueError, match="the shard has .* pack --verify"):
        load_audio(str(beyond))
    with pytest.raises(FileNotFoundError, match="gone.i16: no such shard"):
        load_audio(tmp_path / "gone.i16#0+5")
    (tmp_path / "empty.tar").touch()
    with pytest.raises(ValueError, match="empty.tar.* the shard has 0"):
        load_audio(tmp_path / "empty.tar#0+5")
    (tmp_path / "a.tar").write_bytes(b"no audio in here")
    with pytest.raises(ValueError, match="a.tar#0.5: not readable as audio"):
        load_audio(tmp_path / "a.tar#0+5")
    forget_maps()


def test_parts_that_do_not_belong_together(packs, tmp_path):
    folder = tmp_path / "pack"
    folder.mkdir()
    for path in packs["int16"].iterdir():
        if path.is_file() and path.suffix != ".i16":
            (folder / path.name).write_bytes(path.read_bytes())
    np.save(folder / "index.npy", np.load(folder / "index.npy")[:-1])
    with pytest.raises(ValueError, match="expected 48 utterances .* has 47"):
        open_index(folder)
    facts = json.loads((folder / "pack.json").read_text())
    (folder / "pack.json").write_text(json.dumps(facts | {"version": 9}))
    with pytest.raises(ValueError, match="expected version 1, got 9"):
        prepare(folder, tmp_path / "save")
