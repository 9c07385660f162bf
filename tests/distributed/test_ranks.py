"""Two and four ranks do what one process does."""

import shutil

import pytest
import rank_jobs
import torch

CLOSE = {"rtol": 1e-4, "atol": 1e-4}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("ranks")


@pytest.fixture(scope="module")
def one(folder):
    """Every job in this process."""
    (folder / "one").mkdir()
    return rank_jobs.everything(folder / "one")


@pytest.fixture(scope="module")
def two(folder):
    """Every job on two ranks; a list of their answers by job."""
    both = rank_jobs.launch("everything", 2, folder / "two")
    return {job: [answer[job] for answer in both] for job in both[0]}


def assert_same_run(alone, ranks):
    """The losses of a run and what it became."""
    losses = torch.tensor([rank["losses"] for rank in ranks]).mean(0)
    assert len(losses) == 50
    torch.testing.assert_close(losses, torch.tensor(alone["losses"]), **CLOSE)
    for rank in ranks:
        assert rank["state"].keys() == alone["state"].keys()
        torch.testing.assert_close(rank["state"], alone["state"], **CLOSE)
        assert len(rank["logged"]) == 5
        for ours, theirs in zip(rank["logged"], alone["logged"], strict=True):
            assert ours == ranks[0]["logged"][rank["logged"].index(ours)]
            for stage in ("train", "valid"):
                assert ours[stage] == pytest.approx(theirs[stage], abs=2e-4)
    for step, (epoch, used) in enumerate(alone["used"]):
        parts = [rank["used"][step] for rank in ranks]
        assert sum((part[1] for part in parts), []) == used
        assert {part[0] for part in parts} == {epoch}


def test_two_ranks_learn_as_one_process(one, two):
    assert_same_run(one["curve"], two["curve"])


def test_validation_is_divided(one, two):
    assert one["curve"]["evaluated"] == 13
    assert [rank["evaluated"] for rank in two["curve"]] == [7, 6]


@pytest.mark.slow
def test_four_ranks_learn_as_one_process(one, folder):
    ranks = rank_jobs.launch("curve", 4, folder / "four")
    assert_same_run(one["curve"], ranks)
    assert [rank["evaluated"] for rank in ranks] == [4, 3, 3, 3]


def assert_each_once(used):
    names = [name for names in used for name in names]
    assert len(names) == len(set(names)) == 80


@pytest.mark.parametrize("world", [1, 2])
def test_resumed_with_as_many_ranks(one, two, world):
    runs = [one["stopped"]] if world == 1 else two["stopped"]
    for run in runs:
        assert len(run["first"]["losses"]) == 15  # of which 14 are kept
        assert len(run["rest"]["losses"]) == 16
        for key, value in run["whole"]["state"].items():
            assert torch.equal(run["rest"]["state"][key], value), key
        pairs = zip(run["whole"]["logged"][1:], run["rest"]["logged"])
        for whole, rest in pairs:
            assert rest["train"] == pytest.approx(whole["train"], abs=1e-4)
            assert rest["valid"] == pytest.approx(whole["valid"])
    if world == 2:
        for epoch in (2, 3):
            assert_each_once(_used(two["stopped"], epoch))


def _used(runs, epoch):
    """The batches of an epoch, before and after the resume, of all ranks."""
    return [
        names
        for run in runs
        for part, kept in (("first", 14), ("rest", None))
        for at, names in run[part]["used"][:kept]
        if at == epoch
    ]


def test_two_ranks_resumed_by_one(one, two, folder):
    shutil.copytree(folder / "two" / "copy", folder / "by_one")
    rest = rank_jobs.fit(rank_jobs.watched_brain(folder / "by_one"), epochs=3)
    whole = one["stopped"]["whole"]
    assert len(rest["losses"]) == 16
    torch.testing.assert_close(rest["state"], whole["state"], **CLOSE)
    ours, theirs = rest["logged"][0], whole["logged"][1]
    assert ours["train"] == pytest.approx(theirs["train"], abs=2e-4)


@pytest.mark.parametrize("batch", [4, 12, 16])
def test_resumed_with_another_batch_size(two, folder, batch):
    """6 of 10 batches of 8 are left: 48 utterances."""
    where = folder / f"batch{batch}"
    shutil.copytree(folder / "two" / "copy", where)
    rest = rank_jobs.fit(rank_jobs.watched_brain(where), 2, batch=batch)
    second = [names for epoch, names in rest["used"] if epoch == 2]
    assert len(second) == 48 // batch
    before = [
        names
        for run in two["stopped"]
        for epoch, names in run["first"]["used"][:14]
        if epoch == 2
    ]
    assert_each_once([*before, *second])


@pytest.mark.parametrize("kind", ["1d", "flat", "2d"])
def test_batch_norm_sees_all_ranks(one, two, kind):
    alone = one["norms"][kind]
    close = {"rtol": 2e-4, "atol": 2e-4}
    for rank in two["norms"]:
        torch.testing.assert_close(rank[kind], alone, **close)
    assert alone["state"]["num_batches_tracked"] == 3


def test_a_term_across_utterances_sees_all_ranks(one, two):
    for rank in two["relations"]:
        torch.testing.assert_close(rank["loss"], one["relations"]["loss"])
        torch.testing.assert_close(rank["grad"], one["relations"]["grad"])


def test_label_targets_count_alike_on_all_ranks(one, two):
    """Two of the first rank's utterances have one, and three of the other's."""
    for rank in two["posteriors"]:
        assert rank["loss"] == pytest.approx(one["posteriors"]["loss"])
        torch.testing.assert_close(rank["grad"], one["posteriors"]["grad"])


def test_rows_means_and_files(two):
    for number, rank in enumerate(two["small_things"]):
        assert rank["rows"].tolist() == [[1.0, 1.0]]
        assert rank["mean"]["a"] == pytest.approx((1 + 2 * 2) / 3)
        assert rank["one"] == {"a": 2.0}
        assert rank["main"] == (0, 1)
        names, rows = rank["embedded"]
        assert names == [f"u{number}" for number in range(5)]
        torch.testing.assert_close(rows[:, 0], torch.arange(5) * 0.1)
        assert rank["heard"] == (3, 2)[number]
        assert rank["alone"] == 5
