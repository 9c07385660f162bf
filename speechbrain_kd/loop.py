"""A Brain that can be stopped, resumed and watched."""

import hashlib
import logging
import random
import time
from pathlib import Path

import numpy
import speechbrain as sb
import torch
import yaml
from speechbrain.utils import checkpoints

from speechbrain_kd.distributed import mean_over_ranks, ranks
from speechbrain_kd.distributed.brain import RankedBrain
from speechbrain_kd.progress import RunningMean, interrupt_sets, terms_in_bar
from speechbrain_kd.speed.timing import TimedLoader, note_epoch

logger = logging.getLogger(__name__)

#: Steps after which losses on a GPU are looked at.
_LOOK = 50

#: Share of an epoch that waiting for audio may take without being said.
_LONG_WAIT = 0.15

#: Optimiser steps after which ranks agree on the time for a checkpoint.
_AGREE = 10


@checkpoints.register_checkpoint_hooks
class SteadyBrain(RankedBrain):
    """SpeechBrain's loop, steady and for any number of ranks.

    The generators of torch, numpy and python are seeded at every step from
    (seed, epoch, step, rank), so that a resumed run is the run that was
    interrupted; Ctrl-C saves a checkpoint in mid-epoch; the progress bar
    shows every loss term. An augmentation that keeps a state of its own
    between batches, as ``AddNoise`` does over many noise files, does not
    resume exactly.

    A run of several ranks is the run of one process with their batches
    together (``RankedBrain``). Gradients that are left at the end of an epoch
    because ``grad_accumulation_factor`` does not divide its steps are
    dropped, as an incomplete last batch is.

    On a GPU no step waits for the last: losses are summed there, read when
    the bar is drawn, and checked every 50 steps, before a checkpoint and at
    the end of an epoch, so that ``nonfinite_patience`` ends a run that much
    later. The mean loss that ``on_stage_end`` gets is a ``RunningMean``:
    ``float`` reads it.

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
        self.evaluated = RunningMean()
        self._nonfinite = None
        self.timing = {}
        self._terms_before = {}

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
        if hasattr(self.train_sampler, "go_on"):
            # Data that are read in sequence: their length follows the epoch.
            self.train_sampler.set_epoch(epoch)
        self.steps_per_epoch = len(train_set)
        if self.step:
            self._go_on(train_set)
        timed = TimedLoader(train_set)
        with terms_in_bar(self.term_means):
            super()._fit_train(timed, epoch, enable)
        self._look_at_losses()
        self.timing = timed.facts(epoch)
        waited = self.timing["wait_s"] / max(self.timing["train_s"], 1e-9)
        if waited > _LONG_WAIT and epoch > 1:
            logger.info(
                "%.0f %% of the epoch went into waiting for audio; a packed "
                "corpus (speechbrain-kd pack) is read faster, and "
                "--num_workers reads beside the training",
                100 * waited,
            )

    def _fit_valid(self, valid_set, epoch, enable):
        began = time.perf_counter()
        super()._fit_valid(valid_set, epoch, enable)
        if valid_set is not None:
            self.timing["valid_s"] = round(time.perf_counter() - began, 4)
        folder = getattr(self.hparams, "output_folder", None)
        if folder is not None and Path(folder).is_dir():
            sb.utils.distributed.main_process_only(note_epoch)(
                Path(folder) / "timing.jsonl", **self.timing
            )

    def fit_batch(self, batch):
        """As ``Brain.fit_batch``; the loss stays on its device."""
        should_step = self.step % self.grad_accumulation_factor == 0
        self.on_fit_batch_start(batch, should_step)
        with self.no_sync(not should_step):
            with self.training_ctx:
                outputs = self.compute_forward(batch, sb.Stage.TRAIN)
                loss = self.compute_objectives(outputs, batch, sb.Stage.TRAIN)
            scaled = self.scaler.scale(loss / self.grad_accumulation_factor)
            self.check_loss_isfinite(scaled)
            scaled.backward()
        if should_step:
            self.optimizers_step()
        self.on_fit_batch_end(batch, outputs, loss, should_step)
        self._note_step()
        return loss.detach()

    @torch.no_grad()
    def evaluate_batch(self, batch, stage):
        """As ``Brain.evaluate_batch``; an utterance counts as any other."""
        with self.evaluation_ctx:
            outputs = self.compute_forward(batch, stage)
            loss = self.compute_objectives(outputs, batch, stage)
        self.evaluated.add(loss, weight=len(batch))
        return loss.detach()

    def evaluated_loss(self) -> float:
        """Mean loss of the utterances that all ranks have evaluated."""
        mean = {"loss": float(self.evaluated)}
        return mean_over_ranks(mean, weight=self.evaluated.count)["loss"]

    def update_average(self, loss, avg_loss):
        """Adds a step's loss to the mean of the epoch, where it lies."""
        if not isinstance(avg_loss, RunningMean):
            avg_loss = RunningMean(avg_loss, self.step - 1)
        return avg_loss.add(loss)

    def check_loss_isfinite(self, loss):
        """As ``Brain.check_loss_isfinite``; on a GPU only counts."""
        if loss.device.type == "cpu":
            super().check_loss_isfinite(loss)
            return
        bad = ~loss.detach().isfinite()
        self._nonfinite = bad + (
            0 if self._nonfinite is None else self._nonfinite
        )
        if self.step % _LOOK == 0:
            self._look_at_losses()

    def _look_at_losses(self):
        """Warns of losses that were not finite, or ends the run."""
        bad, self._nonfinite = int(self._nonfinite or 0), None
        for _ in range(bad):
            super().check_loss_isfinite(torch.tensor(float("nan")))

    def optimizers_step(self):
        """As ``Brain.optimizers_step``; clips the gradients of all groups.

        SpeechBrain clips those of the first group alone, and there are two
        with ``remove_vector_weight_decay``.
        """
        optimizers = self.freeze_optimizers(self.optimizers_dict).values()
        for optimizer in optimizers:
            self.scaler.unscale_(optimizer)
            groups = (group["params"] for group in optimizer.param_groups)
            torch.nn.utils.clip_grad_norm_(
                [param for group in groups for param in group],
                self.max_grad_norm,
            )
        if self.skip_nonfinite_grads and not self.scaler.is_enabled():
            self.check_gradients()
        for optimizer in optimizers:
            self.scaler.step(optimizer)
        self.scaler.update()
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        self.optimizer_step += 1

    def _should_save_intra_epoch_ckpt(self, last_ckpt_time, steps_since_ckpt):
        # Gradients that the optimiser has not taken yet are in no checkpoint.
        updates, left = divmod(self.step, self.grad_accumulation_factor)
        if left:
            return False
        if self.interrupted:
            return True
        if self.checkpointer is not None and self.ckpt_interval_steps > 0:
            return steps_since_ckpt >= self.ckpt_interval_steps
        if ranks()[1] > 1 and updates % _AGREE:
            return False  # ranks ask the first one, which costs a broadcast
        return super()._should_save_intra_epoch_ckpt(
            last_ckpt_time, steps_since_ckpt
        )

    def _save_intra_epoch_ckpt(self):
        if self.checkpointer is not None:
            self._look_at_losses()
            self.avg_train_loss = self.mean_loss(self.avg_train_loss)
            self._terms_before = mean_over_ranks(self._term_means())
            super()._save_intra_epoch_ckpt()
        if self.interrupted:
            raise KeyboardInterrupt

    @checkpoints.mark_as_saver
    def _save(self, path):
        super()._save(path)
        with open(path, "a", encoding="utf-8") as file:
            yaml.dump({"term_means": self._terms_before}, file)

    @checkpoints.mark_as_loader
    def _recover(self, path, end_of_epoch):
        super()._recover(path, end_of_epoch)
        with open(path, encoding="utf-8") as file:
            self._terms_before = yaml.safe_load(file).get("term_means", {})

    @staticmethod
    def mean_loss(loss: RunningMean | float) -> float:
        """Mean over the ranks of the mean that ``on_stage_end`` gets."""
        return mean_over_ranks({"loss": loss})["loss"]

    def on_stage_start(self, stage, epoch=None):
        """Starts the sums of a stage, or goes on with a resumed one's."""
        self.term_sums = {
            name: (mean * self.step, self.step)
            for name, mean in self._terms_before.items()
            if self.step
        }
        self._terms_before = {}
        self.evaluated = RunningMean()
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
        """This rank's mean of every loss term over the epoch so far."""
        return {
            name: round(mean, 4) for name, mean in self._term_means().items()
        }

    def _term_means(self):
        """The means, by one transfer from a GPU and not one a term."""
        sums = self.term_sums.values()
        means = [torch.as_tensor(total / count) for total, count in sums]
        values = torch.stack(means).tolist() if means else []
        return dict(zip(self.term_sums, values, strict=True))
