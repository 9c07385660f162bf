"""A Brain whose ranks together do what one process does."""

import os

import speechbrain as sb
import torch
from speechbrain.utils.checkpoints import Checkpointer
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset, IterableDataset

from speechbrain_kd.distributed.batch_norm import convert
from speechbrain_kd.distributed.gather import ranks
from speechbrain_kd.distributed.sampler import DEFAULT_SEED, GlobalBatchSampler


class RankedBrain(sb.Brain):
    """SpeechBrain's Brain, with data and BatchNorm shared among ranks.

    Ranks take their batches from one order of the training data, validate
    different utterances, and normalise over the batches of all, on CPUs too.
    An epoch that was interrupted goes on with any number of ranks.

    Arguments
    ---------
    *args, **kwargs
        As ``speechbrain.Brain``.
    """

    def make_dataloader(
        self,
        dataset: Dataset,
        stage: sb.Stage,
        ckpt_prefix: str | None = "dataloader-",
        **loader_kwargs,
    ) -> DataLoader:
        """As ``Brain.make_dataloader``, with the data divided among ranks.

        Training data are divided by a ``GlobalBatchSampler``, other data
        without repeating any. An ``IterableDataset`` divides itself: its
        ``set_epoch(epoch)`` is called, and on resume ``go_on(step)``, which
        returns the steps that count, or ``skip(utterances)``, where it has
        them. Loaders that are given a sampler are SpeechBrain's.
        """
        if self._may_divide(dataset, loader_kwargs):
            if stage == sb.Stage.TRAIN:
                ckpt_prefix = None  # the sampler knows the position
            else:
                rank, world = ranks()
                loader_kwargs["sampler"] = range(rank, len(dataset), world)
        return super().make_dataloader(
            dataset, stage, ckpt_prefix, **loader_kwargs
        )

    @staticmethod
    def _may_divide(dataset, loader_kwargs):
        """Whether the order of the data is left to us."""
        given = ("sampler", "batch_sampler", "looped_nominal_epoch")
        return (
            not isinstance(dataset, IterableDataset)
            and all(loader_kwargs.get(key) is None for key in given)
            and loader_kwargs.get("batch_size", 1) is not None
        )

    def _train_loader_specifics(self, dataset, loader_kwargs):
        if isinstance(dataset, IterableDataset):
            if hasattr(dataset, "set_epoch"):
                self.train_sampler = dataset
            return {
                key: value
                for key, value in loader_kwargs.items()
                if key != "shuffle"  # it has an order of its own
            }
        if not self._may_divide(dataset, loader_kwargs):
            return super()._train_loader_specifics(dataset, loader_kwargs)
        loader_kwargs = dict(loader_kwargs)
        rank, world = ranks()
        self.train_sampler = GlobalBatchSampler(
            len(dataset),
            loader_kwargs.pop("batch_size", 1),
            shuffle=loader_kwargs.pop("shuffle", False),
            drop_last=loader_kwargs.pop("drop_last", False),
            seed=int(os.environ.get("SB_GLOBAL_SEED", DEFAULT_SEED)),
            rank=rank,
            world=world,
        )
        if isinstance(self.checkpointer, Checkpointer):
            # Optional, as the checkpoints of earlier versions have none.
            self.checkpointer.add_recoverable(
                "train_order", self.train_sampler, optional_load=True
            )
        return loader_kwargs | {"batch_sampler": self.train_sampler}

    def _go_on(self, train_set):
        """Finds the place in an epoch that was interrupted."""
        order = self.train_sampler
        if isinstance(order, GlobalBatchSampler):
            if not order.resumed:  # a checkpoint of an earlier version
                order.resume_at(self.step * order.global_batch)
            self.step = order.steps_before
        elif hasattr(order, "go_on"):
            self.step = order.go_on(self.step)
        elif hasattr(order, "skip"):
            order.skip(self.step * (train_set.batch_size or 1))

    def _wrap_distributed(self):
        """Wraps for DDP, BatchNorm over all ranks, on CPUs too.

        Buffers are not broadcast: they are those of BatchNorm, which are the
        same on all ranks, and ranks may validate different numbers of
        batches.
        """
        if not self.distributed_launch:
            super()._wrap_distributed()
            return
        on_cpu = self.device_type == "cpu"
        gloo = on_cpu or self.distributed_backend == "gloo"
        for name, module in self.modules.items():
            if not any(p.requires_grad for p in module.parameters()):
                continue
            if on_cpu:
                module = convert(module)
            else:
                module = torch.nn.SyncBatchNorm.convert_sync_batchnorm(module)
            self.modules[name] = DistributedDataParallel(
                module,
                device_ids=None if gloo else [self.device],
                find_unused_parameters=self.find_unused_parameters,
                broadcast_buffers=False,
            )

    def _note_step(self):
        """Notes that the batch of this step was used."""
        if isinstance(self.train_sampler, GlobalBatchSampler):
            self.train_sampler.taken(self.step)
