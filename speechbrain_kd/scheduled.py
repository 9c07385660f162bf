"""What moves with the training: rates, margins, averages, and its log."""

import logging

import speechbrain as sb
from speechbrain.nnet.schedulers import update_learning_rate

from speechbrain_kd.distributed import mean_over_ranks, ranks
from speechbrain_kd.starting import start_from
from speechbrain_kd.validated import ValidatedBrain

logger = logging.getLogger(__name__)


class ScheduledBrain(ValidatedBrain):
    """A Brain that follows the schedules of its yaml and keeps checkpoints.

    Arguments
    ---------
    *args, **kwargs
        As ``speechbrain.Brain``; ``hparams`` holds ``lr_annealing``,
        ``margin_schedule``, ``large_margin``, ``average``, ``start_from``,
        ``quantise`` and the loggers.
    """

    def fit(self, *args, **kwargs):
        """As ``Brain.fit``; the rounding to int8 ends with it."""
        try:
            super().fit(*args, **kwargs)
        finally:
            if self.hparams.quantise is not None:
                self.hparams.quantise.detach()

    def on_fit_start(self):
        """As ``Brain.on_fit_start``; then the rounding to int8 begins."""
        super().on_fit_start()
        if self.hparams.quantise is not None:
            self.hparams.quantise.attach(self.hparams.embedding_model)

    def _start(self):
        """Begins with the weights of another run, where one is named."""
        own = self.checkpointer
        begun = own is not None and own.find_checkpoint() is not None
        if self.hparams.start_from is None or begun:
            return
        modules = {
            "embedding_model": self.hparams.embedding_model,
            "normalizer": self.hparams.mean_var_norm,
            "classifier": self.hparams.classifier,
            "distillation": self.hparams.distillation,
        }
        start_from(self.hparams.start_from, modules)

    def _join_quantisation(self, run):
        """Fits the rounding to int8 to the student, by a dry run."""
        quantise = self.hparams.quantise
        if ranks()[1] > 1:
            raise ValueError(
                "quantise: the ranges of int8 are found in one process, and "
                f"there are {ranks()[1]}: train without torchrun"
            )
        sites = quantise.fit(self.hparams.embedding_model, run)
        quantise.to(self.device)
        logger.info("%d layers learn in the rounding of int8", len(sites))
        if self.checkpointer is not None:
            self.checkpointer.add_recoverable("quantise", quantise)

    def _join_average(self):
        """What is averaged: the student's weights, and the projector's."""
        followed = {"embedding_model": self.hparams.embedding_model}
        if self.hparams.classifier is not None:
            followed["classifier"] = self.hparams.classifier
        if self.hparams.distillation is not None:
            followed["projector"] = self.hparams.distillation.projector
        self.hparams.average.follow(followed)
        if self.checkpointer is not None:
            # Optional: the run may have been begun without an average.
            self.checkpointer.add_recoverable(
                "average", self.hparams.average, optional_load=True
            )

    def _large_margin(self):
        """Whether the present epoch is of the large-margin stage."""
        stage = self.hparams.large_margin
        return stage is not None and stage.active(self.epoch)

    def on_stage_start(self, stage, epoch=None):
        """Trains the raw weights, and validates their average."""
        super().on_stage_start(stage, epoch)
        average = self.hparams.average
        if average is not None and stage == sb.Stage.TRAIN:
            average.put_back()
        elif average is not None:
            average.put_in()

    def on_fit_batch_start(self, batch, should_step):
        """Moves what follows the progress of the training."""
        super().on_fit_batch_start(batch, should_step)
        if self._large_margin():
            self.hparams.large_margin.on_progress(self.optimizer)
            return
        if self.hparams.margin_schedule is not None:
            self.hparams.margin_schedule.on_progress(self.progress)
        if hasattr(self.hparams.lr_annealing, "on_progress"):
            self.hparams.lr_annealing.on_progress(self.optimizer, self.progress)

    def on_fit_batch_end(self, batch, outputs, loss, should_step):
        """Averages; moves SpeechBrain's schedulers that count batches."""
        if should_step and self.hparams.average is not None:
            self.hparams.average.update(self.progress)
        if hasattr(self.hparams.lr_annealing, "on_batch_end"):
            self.hparams.lr_annealing.on_batch_end(self.optimizer)

    def on_stage_end(self, stage, stage_loss, epoch=None):
        """Logs every term; keeps the last checkpoint and the best by EER."""
        if stage == sb.Stage.TRAIN:
            own = {"loss": stage_loss} | self.term_means()
            self.train_stats = mean_over_ranks(own)
            return
        stats = {"loss": self.evaluated_loss()}
        if self.error_metrics is not None:
            stats["ErrorRate"] = self.error_rate()
        stats["EER"] = self.verification_eer()
        old_lr = self.optimizer.param_groups[0]["lr"]
        annealing = self.hparams.lr_annealing
        if annealing is not None and not hasattr(annealing, "on_progress"):
            old_lr, new_lr = annealing(epoch)
            update_learning_rate(self.optimizer, new_lr)
        self._log(stats, epoch, old_lr)
        if self.checkpointer is not None:
            # Equal error rates: the later epoch is the better trained.
            rank = stats["EER"] if stats["EER"] == stats["EER"] else 1.0
            self.checkpointer.save_and_keep_only(
                meta=stats | {"epoch": epoch, "selection": rank - 1e-9 * epoch},
                min_keys=["selection"],
            )

    @sb.utils.distributed.main_process_only
    def _log(self, stats, epoch, lr):
        """Writes the epoch to the train log and to TensorBoard."""
        for name in ("train_logger", "tensorboard_logger"):
            if getattr(self.hparams, name) is not None:
                getattr(self.hparams, name).log_stats(
                    stats_meta={"epoch": epoch, "lr": lr},
                    train_stats=self.train_stats,
                    valid_stats=stats,
                )
