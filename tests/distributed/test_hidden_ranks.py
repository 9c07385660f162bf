"""Terms on hidden layers: two ranks are one process, a resumed run is whole."""

import hidden_ranks
import pytest
import torch
from apart import on_ranks


@pytest.fixture(scope="module")
def whole():
    """One process that nothing happens to."""
    return hidden_ranks.train(hidden_ranks.watched())


def test_two_ranks_learn_as_one_process(whole, tmp_path):
    ranks = on_ranks(hidden_ranks.__file__, tmp_path)
    losses = torch.tensor([rank["losses"] for rank in ranks]).mean(0)
    expected = torch.tensor(whole["losses"])
    assert len(expected) == 20
    before = hidden_ranks.watched().hparams.distillation.state_dict()
    moved = [
        not torch.equal(before[k], v) for k, v in whole["adapters"].items()
    ]
    assert moved and all(moved)
    close = {"rtol": 1e-4, "atol": 1e-4}
    torch.testing.assert_close(losses, expected, **close)
    for rank in ranks:
        for part in ("student", "adapters"):
            torch.testing.assert_close(rank[part], whole[part], **close)
        assert rank["adapters"].keys() == whole["adapters"].keys()


def test_stopped_in_mid_epoch_and_resumed(whole, tmp_path):
    saving = {"ckpt_interval_steps": 2}
    hidden_ranks.train(hidden_ranks.watched(tmp_path, (2, 5), **saving))
    rest = hidden_ranks.train(hidden_ranks.watched(tmp_path, **saving))
    assert len(rest["losses"]) == 6  # 4 of the second epoch were saved
    assert rest["losses"] == whole["losses"][14:]
    for part in ("student", "adapters"):
        for name, value in whole[part].items():
            assert torch.equal(rest[part][name], value), name
