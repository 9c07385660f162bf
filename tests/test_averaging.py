"""The mean of the weights: by hand, saved, in the Brain's stages."""

import pytest
import speechbrain as sb
import torch
from test_brain import FakeTeacher, make_batch, make_brain, objective, step

from speechbrain_kd.averaging import WeightAverage


def moved(average, values=(4.0, 1.0, 7.0)):
    """A weight and a running mean that take these values, an epoch each."""
    norm = torch.nn.BatchNorm1d(1)
    average.follow({"norm": norm})
    for epoch, value in enumerate(values, start=1):
        norm.weight.data.fill_(value)
        norm.running_mean.fill_(-value)
        norm.num_batches_tracked.fill_(epoch)
        average.update(float(epoch))
    return norm


def test_an_exponential_mean_by_hand():
    average = WeightAverage(decay=0.15)
    norm = moved(average)
    average.put_in()
    # The first keeps nothing of the start; then min(0.15, (1 + n) / (10 + n)).
    mean = 0.15 * 4 + 0.85 * 1
    mean = 0.15 * mean + 0.85 * 7
    assert norm.weight.item() == pytest.approx(mean)
    assert norm.running_mean.item() == pytest.approx(-mean)
    assert norm.num_batches_tracked == 3
    average.put_in()  # once is enough
    assert norm.weight.item() == pytest.approx(mean)
    average.put_back()
    assert norm.weight.item() == 7 and norm.running_mean.item() == -7


def test_an_equal_mean_from_an_epoch_on():
    average = WeightAverage(decay=None, start_epoch=2.0)
    norm = moved(average)
    average.put_in()
    assert norm.weight.item() == 4.0
    early = WeightAverage(decay=None, start_epoch=9.0)
    norm = moved(early)
    early.put_in()
    assert norm.weight.item() == 7.0


def test_it_says_what_it_is():
    assert str(WeightAverage(0.99)) == (
        "an exponential mean (decay 0.99) over the steps"
    )
    assert str(WeightAverage(None, 14)) == (
        "an equal mean over the steps after epoch 14"
    )


@pytest.mark.parametrize("is_in", [True, False])
def test_saved_and_resumed(tmp_path, is_in):
    whole, first = WeightAverage(0.5), WeightAverage(0.5)
    expected = moved(whole, (4.0, 1.0, 7.0))
    before = moved(first, (4.0, 1.0))
    if is_in:
        first.put_in()
    first._save(tmp_path / "average.ckpt")
    resumed, norm = WeightAverage(0.5), torch.nn.BatchNorm1d(1)
    norm.load_state_dict(before.state_dict())
    resumed.follow({"norm": norm})
    resumed._load(tmp_path / "average.ckpt", end_of_epoch=True)
    resumed.put_back()
    assert norm.weight.item() == 1
    norm.weight.data.fill_(7.0)
    norm.running_mean.fill_(-7.0)
    resumed.update(3.0)
    for average in (whole, resumed):
        average.put_in()
    assert torch.equal(norm.weight, expected.weight)
    assert torch.equal(norm.running_mean, expected.running_mean)
    other = WeightAverage(0.5)
    other.follow({"other": norm})
    with pytest.raises(ValueError, match="averages of other weights"):
        other._load(tmp_path / "average.ckpt", end_of_epoch=True)


@pytest.mark.parametrize("given", [{"decay": 1.0}, {"start_epoch": -1}])
def test_what_is_no_average(given):
    with pytest.raises(ValueError, match="WeightAverage"):
        WeightAverage(**given)


def test_the_brain_validates_the_mean_and_trains_the_raw():
    average = WeightAverage(decay=None)
    brain = make_brain(
        teacher=FakeTeacher(dim=12), distillation=objective(), average=average
    )
    followed = {
        "weight": brain.hparams.embedding_model.blocks[0].conv.weight,
        "projector": brain.hparams.distillation.projector.weight,
        "classes": brain.hparams.classifier.weight,
    }
    brain.on_stage_start(sb.Stage.TRAIN, 1)
    for value in (1.0, 3.0):
        for tensor in followed.values():
            tensor.data.fill_(value)
        brain.on_fit_batch_end(None, None, None, should_step=True)
        brain.on_fit_batch_end(None, None, None, should_step=False)
    _, _ = step(brain, make_batch(), sb.Stage.VALID)
    seen = [tensor.unique().tolist() for tensor in followed.values()]
    assert seen == [[2.0]] * 3
    brain.on_stage_start(sb.Stage.TRAIN, 2)
    seen = [tensor.unique().tolist() for tensor in followed.values()]
    assert seen == [[3.0]] * 3
