"""A checkpoint exists when it is whole."""

import pytest
import torch
from speechbrain.utils.checkpoints import Checkpointer

from speechbrain_kd.checkpoints import AtomicCheckpointer


class Unsaveable(torch.nn.Module):
    """Fails as a process that is killed between two files does."""

    def state_dict(self, *args, **kwargs):
        raise KeyboardInterrupt


def test_a_save_that_breaks_leaves_nothing_to_recover(tmp_path):
    model = torch.nn.Linear(2, 2)
    checkpointer = AtomicCheckpointer(tmp_path, {"model": model})
    good = checkpointer.save_checkpoint(meta={"n": 1})
    checkpointer.add_recoverable("broken", Unsaveable())
    with pytest.raises(KeyboardInterrupt):
        checkpointer.save_checkpoint(meta={"n": 2})
    found = AtomicCheckpointer(tmp_path, {"model": model}).list_checkpoints()
    assert [checkpoint.path for checkpoint in found] == [good.path]


def test_replacing_keeps_objects_and_removes_the_unfinished(tmp_path):
    model = torch.nn.Linear(2, 2)
    (tmp_path / ".unfinished-CKPT+x").mkdir()
    plain = Checkpointer(tmp_path, {"model": model})
    atomic = AtomicCheckpointer.replacing(plain)
    assert AtomicCheckpointer.replacing(atomic) is atomic
    assert not list(tmp_path.iterdir())
    weight = model.weight.detach().clone()
    atomic.save_and_keep_only(meta={"EER": 0.2}, min_keys=["EER"])
    with torch.no_grad():
        model.weight.zero_()
    assert atomic.recover_if_possible(min_key="EER").meta["EER"] == 0.2
    assert torch.equal(model.weight, weight)


def test_a_named_checkpoint_can_be_saved_again(tmp_path):
    checkpointer = AtomicCheckpointer(tmp_path, {"m": torch.nn.Linear(1, 1)})
    checkpointer.save_checkpoint(name="last", meta={"n": 1})
    saved = checkpointer.save_checkpoint(name="last", meta={"n": 2})
    assert saved.path.name == "CKPT+last"
    assert all(file.is_file() for file in saved.paramfiles.values())
    assert checkpointer.find_checkpoint().meta["n"] == 2
