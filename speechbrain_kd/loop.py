"""A Brain that can be stopped, resumed and watched."""

import hashlib
import random

import numpy
import speechbrain as sb
import torch
from torch.nn.parallel import DistributedDataParallel

from speechbrain_kd.progress import interrupt_sets, terms_in_bar


class SteadyBrain(sb.Brain):
    """SpeechBrain's loop, with four things added.

    The generators of torch, numpy and python are seeded at every step from
    (seed, epoch, step, rank), so that a resumed run is the run that was
    interrupted; Ctrl-C saves a checkpoint in mid-epoch; the progress bar
    shows every loss term; gloo trains on CPUs. An augmentation that keeps a
    state of its own between batches, as ``AddNoise`` does over many noise
    files, does not resume exactly.

    Arguments
    ---------
    *args, **kwargs
        As ``speechbrain.Brain``; ``hparams`` holds ``seed``.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.interrupted = False
        self.epoch = 0
        self.steps_per_epoch = 1
        self.term_sums = {}

    @property
    def progress(self) -> float:
        """Epochs done, with the fraction of the present one."""
        return self.epoch - 1 + (self.step - 1) / self.steps_per_epoch

    def fit(self, *args, **kwargs):
        """As ``Brain.fit``; Ctrl-C saves a checkpoint in mid-epoch."""
        if self.distributed_launch:
            return super().fit(*args, **kwargs)
        with interrupt_sets(lambda: setattr(self, "interrupted", True)):
            super().fit(*args, **kwargs)
        if self.interrupted:  # after the last step: the epoch is saved
            raise KeyboardInterrupt

    def _fit_train(self, train_set, epoch, enable):
        self.steps_per_epoch = len(train_set)
        with terms_in_bar(self.term_means):
            super()._fit_train(train_set, epoch, enable)

    def _wrap_distributed(self):
        """Wraps for DDP; on CPUs without SyncBatchNorm, which needs a GPU."""
        if not self.distributed_launch or self.device != "cpu":
            super()._wrap_distributed()
            return
        for name, module in self.modules.items():
            if any(p.requires_grad for p in module.parameters()):
                self.modules[name] = DistributedDataParallel(module)

    def _should_save_intra_epoch_ckpt(self, last_ckpt_time, steps_since_ckpt):
        # Gradients that the optimiser has not taken yet are in no checkpoint.
        if self.step % self.grad_accumulation_factor:
            return False
        return self.interrupted or super()._should_save_intra_epoch_ckpt(
            last_ckpt_time, steps_since_ckpt
        )

    def _save_intra_epoch_ckpt(self):
        if self.checkpointer is not None:
            super()._save_intra_epoch_ckpt()
        if self.interrupted:
            raise KeyboardInterrupt

    def on_stage_start(self, stage, epoch=None):
        """Starts the sums of a stage."""
        self.term_sums = {}
        if stage == sb.Stage.TRAIN:
            self.epoch = epoch

    def on_fit_batch_start(self, batch, should_step):
        """Seeds the step."""
        self._seed_step()

    def _seed_step(self):
        """Seeds every generator from (seed, epoch, step, rank).

        Augmentation and dropout then do not depend on what happened before,
        which makes a resumed run equal to an uninterrupted one.
        """
        rank = self.rank if self.distributed_launch else 0
        key = f"{self.hparams.seed}/{self.epoch}/{self.step}/{rank}"
        digest = hashlib.blake2b(key.encode(), digest_size=4).digest()
        seed = int.from_bytes(digest, "big")
        random.seed(seed)
        numpy.random.seed(seed)
        torch.manual_seed(seed)

    def _track(self, losses):
        """Running means of every term, for the bar and the logs."""
        for name, loss in losses.items():
            total, count = self.term_sums.get(name, (0.0, 0))
            self.term_sums[name] = (total + loss.detach(), count + 1)

    def term_means(self) -> dict[str, float]:
        """Mean of every loss term over the epoch so far."""
        return {
            name: round(float(total) / count, 4)
            for name, (total, count) in self.term_sums.items()
        }
