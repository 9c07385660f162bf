"""Runs with audio that the teacher alone tells about."""

import os
import shutil
import signal

import pytest
import torch
from small_runs import (
    BOTH,
    EMBEDDING,
    HPARAMS,
    arguments,
    different,
    distil,
    on_ranks,
    train,
    train_log,
    watched_run,
    weights,
)

pytestmark = pytest.mark.usefixtures("training_only")

STEPS = (
    "--number_of_epochs=2",
    "--batch_size=4",
    "--ckpt_interval_minutes=0",
    "--ckpt_interval_steps=2",
)
#: Trains in the processes that it is given, and keeps the parameters.
_TRAINED = """\
import os, sys, torch
from speechbrain_kd import run
brain, data, (valid, _, _) = run.ready(sys.argv[2:])
run.train(brain, data, valid)
state = {n: v.detach() for n, v in brain.modules.named_parameters()}
state = {n.replace("module.", ""): v for n, v in state.items()}
name = os.environ["WORLD_SIZE"] + os.environ["RANK"] + ".pt"
torch.save(state, os.path.join(sys.argv[1], name))
"""


@pytest.fixture(scope="module")
def audio(tiny_corpus, tmp_path_factory):
    """Seven files of training speakers, which here are nobody's."""
    folder = tmp_path_factory.mktemp("audio")
    files = sorted(tiny_corpus.glob("wav/id0000[0-3]/*/*.wav"))[::3][:7]
    for number, file in enumerate(files):
        shutil.copy(file, folder / f"{number}.wav")
    return f"--unlabelled_folder={folder}"


@pytest.mark.parametrize("views", [pytest.param(0, marks=pytest.mark.slow), 2])
def test_killed_and_resumed(tiny_corpus, teacher, audio, tmp_path, views):
    settings = (
        *STEPS,
        audio,
        f"--teacher_views={views}",
        "--speeds=[1.0, 0.9]",
        f"--wav_augment={HPARAMS / 'augment' / 'channel.yaml'}",
    )
    whole = distil(tiny_corpus, tmp_path / "whole", teacher, *settings)
    assert all(
        entry[f"train {name}"] > 0
        for entry in train_log(whole)
        for name in ("classification", "posteriors", "embedding")
    )
    folder = tmp_path / "run"
    given = arguments(
        *(tiny_corpus, folder, f"--teacher={teacher}"),
        f"--distillation={BOTH}",
        *settings,
    )
    killed = watched_run(given, tmp_path, kill_at=[2, 5])
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    distil(tiny_corpus, folder, teacher, *settings)
    assert not different(weights(folder), weights(whole))


def test_all_is_asked_ahead(tiny_corpus, teacher, audio, tmp_path, watched):
    folder = distil(
        *(tiny_corpus, tmp_path / "run", teacher, audio),
        "--teacher_views=2",
        "--number_of_epochs=2",
        "--store_ahead=True",
    )
    store = next(iter(watched.brain.stores.values()))
    names = [f"unlabelled/{number}.wav" for number in range(7)]
    assert all(all(store.holds(names, view)) for view in range(2))
    assert "asked for 62 views" in (folder / "log.txt").read_text()


@pytest.mark.slow  # tests/distributed has it in small
def test_two_ranks_train_as_one(tiny_corpus, teacher, audio, tmp_path):
    script = tmp_path / "trained.py"
    script.write_text(_TRAINED)
    for ranks, size in ((1, 4), (2, 2)):
        given = arguments(
            *(tiny_corpus, tmp_path / f"run{ranks}", f"--teacher={teacher}"),
            *(f"--distillation={BOTH}", audio, f"--batch_size={size}"),
        )
        done = on_ranks(ranks, script, tmp_path, *given)
        assert done.returncode == 0, done.stderr[-3000:]
    one, first, second = (
        torch.load(tmp_path / f"{name}.pt") for name in ("10", "20", "21")
    )
    assert not different(first, second)
    # The softmax over time does away with it: its gradient is noise.
    one.pop("embedding_model.asp.conv.conv.bias")
    for name, value in one.items():
        assert torch.allclose(value, first[name], atol=2e-3), name
    logs = (train_log(tmp_path / f"run{ranks}") for ranks in (1, 2))
    for entry, other in zip(*logs, strict=True):
        assert entry == pytest.approx(other, rel=2e-3, abs=1e-4)


def test_what_is_refused(tiny_corpus, teacher, audio, tmp_path):
    with pytest.raises(SystemExit, match="needs a teacher and distillation"):
        train(tiny_corpus, tmp_path / "a", audio)
    posteriors = HPARAMS / "distillation" / "posteriors.yaml"
    with pytest.raises(SystemExit, match="a term that compares embeddings"):
        distil(
            *(tiny_corpus, tmp_path / "b", teacher, audio),
            objective=posteriors,
        )
    with pytest.raises(SystemExit, match="share of a batch between 0 and 1"):
        distil(
            *(tiny_corpus, tmp_path / "c", teacher, audio),
            "--unlabelled_share=1",
            objective=EMBEDDING,
        )
    tested = os.path.join(tiny_corpus, "wav", "id00006", "rec0")
    folder = f"--unlabelled_folder={tested}"
    with pytest.raises(SystemExit, match="of the trial list veri_test.txt"):
        distil(tiny_corpus, tmp_path / "d", teacher, folder)
