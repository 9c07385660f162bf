"""`speechbrain-kd store`: the teacher is asked ahead, then no more."""

import subprocess

import pytest
from small_runs import BOTH, arguments, different, environment, python, weights

from speechbrain_kd import run, stored
from speechbrain_kd.speed.timing import read_epochs
from speechbrain_kd.teachers.speechbrain import SpeechBrainTeacher
from speechbrain_kd.teachers.store import TeacherStore
from speechbrain_kd.teachers.store_files import StoreFull

CROP = 12800  # samples of small_runs' crops


@pytest.fixture
def given(tiny_corpus, teacher, tmp_path):
    """Arguments of a run with stored views in a folder."""

    def make(folder, *overrides):
        return arguments(
            tiny_corpus,
            folder,
            f"--teacher={teacher}",
            f"--distillation={BOTH}",
            f"--store_folder={tmp_path / 'store'}",
            "--teacher_views=2",
            "--number_of_epochs=2",
            *overrides,
        )

    return make


@pytest.fixture
def asked(monkeypatch):
    """How many crops the teacher hears."""
    heard = []
    embed = SpeechBrainTeacher.embed

    def counting(self, wavs):
        heard.extend([len(wav) for wav in wavs if len(wav) == CROP])
        return embed(self, wavs)

    monkeypatch.setattr(SpeechBrainTeacher, "embed", counting)
    return heard


def test_ahead_and_while_training_end_alike(
    given, asked, tmp_path, training_only
):
    stored.main(given(tmp_path / "ahead" / "run"))
    assert len(asked) == 2 * 24
    (noted,) = read_epochs(tmp_path / "ahead" / "run" / "timing.jsonl")
    assert (noted["views_asked"], noted["views_kept"]) == (48, 0)
    run.main(given(tmp_path / "ahead" / "run"))
    assert len(asked) == 2 * 24
    other = f"--store_folder={tmp_path / 'other'}"
    run.main(given(tmp_path / "lazy" / "run", other))
    assert len(asked) == 4 * 24
    folders = [tmp_path / name / "run" for name in ("ahead", "lazy")]
    ahead, lazy = map(weights, folders)
    # The teacher was asked in other batches, which round otherwise.
    for key, weight in ahead.items():
        assert (weight - lazy[key]).abs().max() < 1e-2, key
    assert [
        epoch["epoch"] for epoch in read_epochs(folders[1] / "timing.jsonl")
    ]


def test_another_view_seed_is_another_store(given, asked, tmp_path):
    stored.main(given(tmp_path / "one" / "run"))
    stored.main(given(tmp_path / "two" / "run", "--view_seed=7"))
    assert len(asked) == 4 * 24
    assert len(list((tmp_path / "store").glob("*/recipe.json"))) == 2


def test_two_processes_share_the_work(given, tmp_path):
    one, two = tmp_path / "one" / "run", tmp_path / "two" / "run"
    command = python("-m", "speechbrain_kd.stored", *given(two))
    subprocess.run(
        [*command, "--processes", "2"],
        check=True,
        env=environment(),
        capture_output=True,
    )
    stored.main(given(one))
    (noted,) = read_epochs(one / "timing.jsonl")
    assert (noted["views_asked"], noted["views_kept"]) == (0, 48)


def test_the_seed_of_a_run_is_not_that_of_the_views(
    given, asked, tmp_path, training_only
):
    run.main(given(tmp_path / "one" / "run", "--seed=1"))
    run.main(given(tmp_path / "two" / "run", "--seed=2"))
    assert len(asked) == 2 * 24
    assert different(
        weights(tmp_path / "one" / "run"), weights(tmp_path / "two" / "run")
    )


def test_nothing_to_store(given, tmp_path):
    with pytest.raises(SystemExit) as caught:
        stored.main(given(tmp_path / "run", "--teacher_views=0"))
    assert "teacher_views of at least 1" in caught.value.code


def test_a_full_disk_ends_the_storing_not_the_training(
    given, tmp_path, training_only, monkeypatch, caplog
):
    def full(*_):
        raise StoreFull("the disk is full")

    monkeypatch.setattr(TeacherStore, "write", full)
    folder = tmp_path / "run"
    run.main(given(folder))
    assert (folder / "train_log.txt").read_text().count("epoch:") == 2
    text = (folder / "log.txt").read_text()
    assert text.count("The training goes on without storing") == 1
    with pytest.raises(SystemExit) as caught:
        run.main(given(tmp_path / "ahead", "--store_ahead=True"))
    assert "the disk is full" in caught.value.code
    with pytest.raises(SystemExit) as caught:
        stored.main(given(tmp_path / "store_only"))
    assert "store: error: the disk is full" in caught.value.code


def test_ctrl_c_ends_with_its_own_status(given, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(stored, "fill_stores", interrupted)
    with pytest.raises(SystemExit) as caught:
        stored.main(given(tmp_path / "run"))
    assert caught.value.code == 130
