"""What one process or each of several ranks does in a test.

As a program: ``python rank_jobs.py FOLDER RANK WORLD JOB``; the job's answer
is saved in the folder.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile
import speechbrain as sb
import torch
from speechbrain.dataio.batch import PaddedBatch
from speechbrain.lobes.features import Fbank
from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN, Classifier
from speechbrain.processing.features import InputNormalization
from speechbrain.utils.checkpoints import Checkpointer
from speechbrain.utils.epoch_loop import EpochCounter

sys.path.insert(0, str(Path(__file__).parents[1]))

from apart import be_a_rank, on_ranks
from test_brain import FakeTeacher, make_brain

from speechbrain_kd.distributed import (
    convert,
    gather_objects,
    gather_rows,
    mean_over_ranks,
    ranks,
)
from speechbrain_kd.distributed.brain import DistributedDataParallel
from speechbrain_kd.evaluation.embed import embed_files
from speechbrain_kd.losses import CosineEmbedding, DistillationObjective
from speechbrain_kd.losses.term import DistillationTerm

GLOBAL_BATCH = 8
CLASSES = 4


def launch(job: str, world: int, folder: Path) -> list:
    """Runs a job on ranks of their own; the answer of each."""
    folder.mkdir(parents=True, exist_ok=True)
    return on_ranks(__file__, folder, job, world=world)


def small_modules() -> dict[str, torch.nn.Module]:
    """A c8 ECAPA with what stands around it."""
    return {
        "compute_features": Fbank(n_mels=24),
        "mean_var_norm": InputNormalization(
            norm_type="sentence", std_norm=False
        ),
        "embedding_model": ECAPA_TDNN(
            24,
            lin_neurons=8,
            channels=[8, 8, 8, 8, 24],
            kernel_sizes=[5, 3, 3, 3, 1],
            dilations=[1, 2, 3, 4, 1],
            attention_channels=8,
            res2net_scale=4,
            se_channels=8,
        ),
        "classifier": Classifier(8, out_neurons=CLASSES),
    }


class Noise(torch.utils.data.Dataset):
    """Utterances of noise; notes which were asked for."""

    def __init__(self, size: int, seed: int):
        draw = torch.Generator().manual_seed(seed)
        self.wavs = torch.randn(size, 4000, generator=draw)
        self.wavs[:, ::3] += torch.arange(size)[:, None] % CLASSES

    def __len__(self):
        return len(self.wavs)

    def __getitem__(self, index):
        return {
            "id": f"{index % CLASSES}/{index}",
            "sig": self.wavs[index],
            "spk_id_encoded": torch.tensor([index % CLASSES]),
        }


class Relations(DistillationTerm):
    """Toy: similarities among the utterances of a batch."""

    across_utterances = True

    def distance(self, student, teacher):
        student, teacher = (
            torch.nn.functional.normalize(rows) for rows in (student, teacher)
        )
        return (student @ student.T - teacher @ teacher.T).square().mean()


def watched_brain(folder: Path | None = None, stop_at=None, **run_opts):
    """A Brain with a c8 ECAPA that notes losses and utterances of steps."""
    torch.manual_seed(0)
    modules = small_modules()
    terms = {"embedding": CosineEmbedding(), "relations": Relations()}
    weights = {"classification": 1.0, "embedding": 2.0, "relations": 3.0}
    counter = EpochCounter(limit=5)
    checkpointer = None
    if folder is not None:
        checkpointer = Checkpointer(
            folder,
            {
                "embedding_model": modules["embedding_model"],
                "classifier": modules["classifier"],
                "counter": counter,
            },
        )
    brain = make_brain(
        run_opts,
        modules=modules,
        **modules,
        teacher=FakeTeacher(),
        distillation=DistillationObjective(terms, weights),
        opt_class=lambda params: torch.optim.SGD(params, lr=2e-3),
        checkpointer=checkpointer,
        epoch_counter=counter,
    )
    brain.step = 0
    brain.losses, brain.used, brain.logged = [], [], []

    def note(batch, outputs, loss, should_step):
        brain.losses.append(float(loss.detach()))
        brain.used.append((brain.epoch, list(batch.id)))
        if (brain.epoch, brain.step) == stop_at:
            raise InterruptedError

    brain.on_fit_batch_end = note
    brain._log = lambda stats, epoch, lr: brain.logged.append(
        {"train": brain.train_stats, "valid": stats}
    )
    return brain


def fit(brain, epochs: int = 5, batch: int = GLOBAL_BATCH, workers: int = 0):
    """Trains on 80 utterances; what the Brain noted and became."""
    brain.hparams.epoch_counter.limit = epochs
    loading = {"collate_fn": PaddedBatch, "num_workers": workers}
    try:
        brain.fit(
            brain.hparams.epoch_counter,
            Noise(80, seed=1),
            Noise(13, seed=2),
            train_loader_kwargs=loading
            | {
                "batch_size": batch // ranks()[1],
                "shuffle": True,
                "drop_last": True,
            },
            valid_loader_kwargs=loading | {"batch_size": 3},
        )
    except InterruptedError:
        pass
    state = brain.hparams.embedding_model.state_dict()
    return {
        "losses": brain.losses,
        "used": brain.used,
        "logged": brain.logged,
        "evaluated": len(brain.embedded) if epochs and brain.logged else 0,
        "state": {key: value.clone() for key, value in state.items()},
    }


def curve(folder: Path) -> dict:
    """The first 50 steps."""
    return fit(watched_brain())


def stopped(folder: Path) -> dict:
    """Stops in mid-epoch, and goes on from a copy with as many ranks."""
    saving = {"ckpt_interval_steps": 2}
    whole = fit(watched_brain(), epochs=3)
    first = fit(
        watched_brain(folder / "save", (2, 5), **saving), epochs=3, workers=1
    )
    if ranks() != (0, 1):
        torch.distributed.barrier()
    if ranks()[0] == 0:
        subprocess.run(
            ["cp", "-r", str(folder / "save"), str(folder / "copy")], check=True
        )
    if ranks() != (0, 1):
        torch.distributed.barrier()
    rest = fit(watched_brain(folder / "save", **saving), epochs=3)
    return {"whole": whole, "first": first, "rest": rest}


def norms(folder: Path) -> dict:
    """BatchNorm over ranks with different numbers of rows."""
    answer = {}
    for name, norm, shape in (
        ("1d", torch.nn.BatchNorm1d(3), (6, 3, 7)),
        ("flat", torch.nn.BatchNorm1d(3, momentum=None), (6, 3)),
        ("2d", torch.nn.BatchNorm2d(3, affine=False), (6, 3, 4, 5)),
    ):
        draw = torch.Generator().manual_seed(4)
        everything = 50 + 0.5 * torch.randn(shape, generator=draw)
        own = slice(None)
        rank, world = ranks()
        if world > 1:
            own = (slice(0, 2), slice(2, 6))[rank]
        features = everything[own].clone().requires_grad_()
        norm = convert(norm)
        for _ in range(3):
            out = norm(features)
        out.sin().sum().backward()
        gathered = [gather_objects(x.detach()) for x in (out, features.grad)]
        gradients = [
            sum(gather_objects(param.grad)) for param in norm.parameters()
        ]
        norm.eval()
        answer[name] = {
            "out": torch.cat(gathered[0]),
            "grad": torch.cat(gathered[1]),
            "params": gradients,
            "state": norm.state_dict(),
            "eval": norm(everything).detach(),
        }
    return answer


def relations(folder: Path) -> dict:
    """Gradients of a term across utterances, with unequal rows a rank."""
    draw = torch.Generator().manual_seed(6)
    wavs, targets = (torch.randn(7, 5, generator=draw) for _ in range(2))
    weight = torch.randn(5, 5, generator=draw)
    model = torch.nn.Linear(5, 5, bias=False)
    model.weight.data.copy_(weight)
    rank, world = ranks()
    own = slice(None)
    if world > 1:
        model = DistributedDataParallel(model)
        own = (slice(0, 2), slice(2, 7))[rank]
    objective = DistillationObjective(
        {"relations": Relations()}, {"classification": 0, "relations": 1}
    )
    loss = objective(
        {"embeddings": model(wavs[own])}, {"embeddings": targets[own]}
    )["relations"]
    loss.backward()
    (param,) = model.parameters()
    return {"loss": loss.detach(), "grad": param.grad}


def posteriors(folder: Path) -> dict:
    """A label-level mean where ranks have different numbers of targets."""
    from speechbrain_kd.losses import PosteriorKL

    draw = torch.Generator().manual_seed(6)
    logits, targets = (torch.randn(6, 4, generator=draw) for _ in range(2))
    labels = torch.tensor([0, 3, 3, 1, 0, 1])
    logits.requires_grad_()
    objective = DistillationObjective(
        {"posteriors": PosteriorKL()}, {"classification": 0, "posteriors": 1}
    )
    objective.align(torch.tensor([0, 1]), torch.tensor([1, 0]))
    rank, world = ranks()
    own = slice(rank * 6 // world, (rank + 1) * 6 // world)
    loss = objective(
        {"logits": logits[own]}, {"logits": targets[own]}, labels[own]
    )["posteriors"]
    loss.backward()
    grads = gather_objects(logits.grad)
    return {
        "loss": mean_over_ranks({"loss": loss.detach()})["loss"],
        "grad": sum(grads) / world,
    }


def small_things(folder: Path) -> dict:
    """Gathered rows and means, files embedded by parts."""
    rank, world = ranks()
    rows = torch.full((rank, 2), float(rank))
    files = {}
    for number in range(5):
        files[f"u{number}"] = folder / f"{rank}{number}.wav"
        wav = np.full(3000 + 500 * (number % 2), 0.1 * number)
        soundfile.write(files[f"u{number}"], wav, 16000, subtype="FLOAT")
    heard = []

    def embed(wavs):
        heard.extend(wavs[:, 0].tolist())
        return wavs[:, :2]

    return {
        "rows": gather_rows(rows),
        "mean": mean_over_ranks({"a": 1.0 + rank}, weight=1 + rank),
        "one": mean_over_ranks({"a": float("nan") if rank else 2.0}, 1 - rank),
        "main": sb.utils.distributed.run_on_main(ranks),
        "embedded": embed_files(embed, files, progressbar=False, divide=True),
        "heard": len(heard),
        "alone": len(embed_files(embed, files, progressbar=False)[0]),
    }


def everything(folder: Path) -> dict:
    """All of the jobs, in one launch."""
    jobs = (curve, stopped, norms, relations, posteriors, small_things)
    return {job.__name__: job(folder) for job in jobs}


if __name__ == "__main__":
    be_a_rank(lambda folder, job: globals()[job](folder))
