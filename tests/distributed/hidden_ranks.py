"""Training with terms on hidden layers, in one process or as one of two ranks.

As a program: ``python hidden_ranks.py FOLDER RANK WORLD``; what the run became is
saved in the folder.
"""

import rank_jobs
import torch
from apart import be_a_rank
from speechbrain.utils.checkpoints import Checkpointer
from speechbrain.utils.epoch_loop import EpochCounter
from test_inside import inside_brain


def watched(folder=None, stop_at=None, **run_opts):
    """A Brain with hidden terms that notes losses, or stops at a step."""
    counter, checkpointer = EpochCounter(limit=2), None
    if folder is not None:
        checkpointer = Checkpointer(folder, {"counter": counter})
    brain = inside_brain(
        run_opts,
        opt_class=lambda params: torch.optim.SGD(params, lr=5e-4),
        checkpointer=checkpointer,
        epoch_counter=counter,
    )
    if checkpointer is not None:
        for name in ("embedding_model", "classifier"):
            brain.checkpointer.add_recoverable(name, brain.modules[name])
    brain.step = 0
    brain.losses, brain.used, brain.logged = [], [], []

    def note(batch, outputs, loss, should_step):
        brain.losses.append(float(loss.detach()))
        if (brain.epoch, brain.step) == stop_at:
            raise InterruptedError

    brain.on_fit_batch_end = note
    brain._log = lambda stats, epoch, lr: None
    return brain


def train(brain) -> dict:
    """Two epochs of ten steps; losses, student, adapters."""
    answer = rank_jobs.fit(brain, epochs=2)
    state = brain.hparams.distillation.state_dict()
    return {
        "losses": answer["losses"],
        "student": answer["state"],
        "adapters": {key: value.clone() for key, value in state.items()},
    }


if __name__ == "__main__":
    be_a_rank(lambda folder: train(watched()))
