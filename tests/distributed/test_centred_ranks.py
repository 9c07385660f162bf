"""Centres, balance, parts, unlabelled rows, averages: two ranks are one."""

import centred_ranks
import torch
from apart import on_ranks


def test_two_ranks_learn_as_one_process(tmp_path):
    one = centred_ranks.train(centred_ranks.brain_of())
    two = on_ranks(centred_ranks.__file__, tmp_path)
    close = {"rtol": 1e-3, "atol": 1e-4}
    losses = torch.tensor([rank["losses"] for rank in two]).mean(0)
    assert len(losses) == 20
    torch.testing.assert_close(losses, torch.tensor(one["losses"]), **close)
    start = centred_ranks.brain_of().hparams.distillation.state_dict()
    for name in ("terms.following.rows", "terms.trained.rows"):
        assert not torch.equal(start[name], one["objective"][name])
    for part in ("mean", "raw", "objective"):
        torch.testing.assert_close(two[0][part], one[part], **close)
        torch.testing.assert_close(two[1][part], two[0][part], **close)
    counts = one["objective"]["terms.voices.centres.counts"]
    assert counts.sum() == 160 and (counts[-80:] == 2).sum() == 26
    for name in ("terms.following.rows", "balance.norms"):
        assert torch.equal(two[0]["objective"][name], two[1]["objective"][name])
