import csv
import pickle
from pathlib import Path

import numpy as np
import pytest
from speechbrain.dataio.dataset import DynamicItemDataset
from torch.utils.data import DataLoader

import speechbrain_kd.data.table as table_module
from speechbrain_kd.data.manifest import COLUMNS
from speechbrain_kd.data.table import ManifestTable, TableDataset

KEYS = ["id", "duration", "wav", "start", "stop", "spk_id"]
ROOT = "/data/vox"


def make_rows(number: int = 40) -> list[list]:
    rng = np.random.default_rng(5)
    rows = []
    for i in range(number):
        speaker, frames = f"id{i % 7:05d}", int(rng.integers(8000, 10**6))
        key = f"{speaker}/rec{i % 3}/{i:05d}"
        wav = f"$data_root/wav/{key}.wav"
        name = key.replace("/", "--")
        rows.append([name, f"{frames / 16000:.6f}", wav, 0, frames, speaker])
    # What preparation writes of several folders, and letters of any script.
    rows[3][2] = "/other/id00003/rec0/00003.wav"
    rows[4][0], rows[4][2] = "id--é,ü--漢", '$data_root/wav/é,ü/a "b".wav'
    rows[5][3] = 160
    return rows


def write(path: Path, rows: list[list], columns=COLUMNS) -> Path:
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([columns, *rows])
    return path


@pytest.fixture
def manifest(tmp_path):
    return write(tmp_path / "train.csv", make_rows())


@pytest.fixture
def ours(manifest):
    return TableDataset(ManifestTable.from_csv(manifest, ROOT), KEYS)


@pytest.fixture
def theirs(manifest):
    return DynamicItemDataset.from_csv(
        manifest, {"data_root": ROOT}, output_keys=KEYS
    )


def test_items_are_those_of_speechbrain(ours, theirs):
    assert len(ours) == len(theirs) == 40
    for mine, reference in zip(ours, theirs, strict=True):
        assert mine == reference
        assert list(map(type, mine.values())) == [
            type(value) for value in reference.values()
        ]
    assert ours[-1] == theirs[-1]
    with pytest.raises(IndexError):
        ours[40]


def test_without_a_data_root_as_speechbrain(manifest):
    theirs = DynamicItemDataset.from_csv(
        manifest, {"data_root": ""}, output_keys=KEYS
    )
    ours = TableDataset(ManifestTable.from_csv(manifest, None), KEYS)
    assert list(ours) == list(theirs)


def test_dynamic_items_and_filters_work_as_in_speechbrain(ours, theirs):
    for dataset in (ours, theirs):
        dataset.add_dynamic_item(lambda x: int(x) // 2, "stop", "half")
        dataset.set_output_keys(["id", "half"])
    assert list(ours) == list(theirs)
    limits = {"key_min_value": {"duration": 20.0}, "sort_key": "duration"}
    kept = [x.filtered_sorted(**limits) for x in (ours, theirs)]
    assert list(kept[0]) == list(kept[1])
    assert 0 < len(kept[0]) < len(ours)
    assert list(ours.overfit_test(3, 7)) == list(theirs.overfit_test(3, 7))


def test_ids_and_their_places(ours, theirs):
    table = ours.data
    assert list(ours.data_ids) == theirs.data_ids
    assert ours.data_ids[2:5] == theirs.data_ids[2:5]
    assert [table.position(x) for x in table.ids] == list(range(40))
    durations = [theirs.data[x]["duration"] for x in theirs.data_ids]
    assert table.durations.tolist() == durations
    for missing in ("id00000", ""):
        with pytest.raises(KeyError):
            table.position(missing)


def test_names_with_equal_digests_are_told_apart(manifest, monkeypatch):
    monkeypatch.setattr(table_module, "_digest", lambda name: len(name))
    table = ManifestTable.from_csv(manifest, ROOT)
    assert [table.position(x) for x in table.ids] == list(range(40))
    with pytest.raises(KeyError):
        table.position("x" * len(table.ids[0]))


def test_pickled_whole_and_small(tmp_path):
    rows = make_rows(3000)
    path = write(tmp_path / "large.csv", rows)
    table = ManifestTable.from_csv(path, ROOT)
    dataset = TableDataset(table, KEYS)
    parcel = pickle.dumps(dataset)
    assert list(pickle.loads(parcel)) == list(dataset)
    assert table.nbytes < 130 * len(rows)
    assert len(parcel) < 130 * len(rows) + 5000


def test_columns_hold_no_objects_and_cannot_be_written(ours):
    arrays = [x for x in ours.data._columns if isinstance(x, np.ndarray)]
    assert len(arrays) == 4
    assert not any(x.dtype == object or x.flags.writeable for x in arrays)
    with pytest.raises(ValueError, match="read-only"):
        ours.data.durations[0] = 1.0


def test_items_are_the_same_in_loader_workers(ours):
    loader = DataLoader(ours, batch_size=16, num_workers=2, collate_fn=list)
    assert [item for batch in loader for item in batch] == list(ours)


def test_missing_columns_are_named(tmp_path):
    rows = [row[:4] for row in make_rows()]
    path = write(tmp_path / "bad.csv", rows, COLUMNS[:4])
    with pytest.raises(ValueError, match=r"bad\.csv.*stop, spk_id missing"):
        ManifestTable.from_csv(path, ROOT)
    path.write_text("")
    with pytest.raises(ValueError, match=r"bad\.csv.*expected the columns"):
        ManifestTable.from_csv(path, ROOT)


@pytest.mark.parametrize(
    "column, value",
    [
        (1, "long"),
        (1, "nan"),
        (1, "0"),
        (3, "-1"),
        (4, "1.5"),
        (4, "0"),
        (4, str(2**31)),
        (4, ""),
        (0, ""),
        (2, "$data_folder/a.wav"),
    ],
)
def test_bad_values_are_named_with_their_line(tmp_path, column, value):
    rows = make_rows()
    rows[6][column] = value
    path = write(tmp_path / "bad.csv", rows)
    with pytest.raises(ValueError, match=r"bad\.csv, line 8: "):
        ManifestTable.from_csv(path, ROOT)


def test_a_short_row_is_named_with_its_line(tmp_path):
    rows = make_rows()
    rows[6] = rows[6][:3]
    path = write(tmp_path / "bad.csv", rows)
    with pytest.raises(ValueError, match=r"bad\.csv, line 8: no start"):
        ManifestTable.from_csv(path, ROOT)


def test_an_id_that_comes_twice_is_named_with_its_lines(tmp_path):
    rows = make_rows()
    rows[30][0] = rows[10][0]
    path = write(tmp_path / "bad.csv", rows)
    with pytest.raises(ValueError, match=r"bad\.csv: .* in the lines 12, 32"):
        ManifestTable.from_csv(path, ROOT)


def test_an_empty_manifest_has_no_items(tmp_path):
    table = ManifestTable.from_csv(write(tmp_path / "empty.csv", []), ROOT)
    assert len(TableDataset(table)) == 0
    with pytest.raises(KeyError):
        table.position("id1")
