"""A checkpoint that exists is whole."""

import logging
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from speechbrain.utils.checkpoints import Checkpoint, Checkpointer
from speechbrain.utils.distributed import ddp_barrier, if_main_process

logger = logging.getLogger(__name__)

_UNFINISHED = ".unfinished-"


class AtomicCheckpointer(Checkpointer):
    """SpeechBrain's Checkpointer, with folders that appear when complete.

    SpeechBrain writes a checkpoint's meta file first and then one file an
    object, so a process killed in between leaves a folder that recovery
    picks and stumbles over. Here the folder has another name until all is
    written.

    Example
    -------
    >>> import torch
    >>> folder = getfixture("tmp_path")
    >>> checkpointer = AtomicCheckpointer(
    ...     folder, {"model": torch.nn.Linear(2, 2)}
    ... )
    >>> checkpoint = checkpointer.save_checkpoint(meta={"EER": 0.1})
    >>> checkpointer.find_checkpoint(min_key="EER").path == checkpoint.path
    True
    """

    @classmethod
    def replacing(cls, checkpointer: Checkpointer) -> "AtomicCheckpointer":
        """The same recoverables and folder as another checkpointer's.

        Arguments
        ---------
        checkpointer : Checkpointer
            As an upstream yaml makes it.

        Returns
        -------
        AtomicCheckpointer
            Unfinished folders of killed runs are removed from its folder.
        """
        if isinstance(checkpointer, cls):
            return checkpointer
        atomic = cls(
            checkpointer.checkpoints_dir,
            checkpointer.recoverables,
            checkpointer.custom_load_hooks,
            checkpointer.custom_save_hooks,
            checkpointer.allow_partial_load,
        )
        if if_main_process():
            for folder in atomic.checkpoints_dir.glob(_UNFINISHED + "*"):
                shutil.rmtree(folder, ignore_errors=True)
        return atomic

    def save_checkpoint(
        self,
        meta: Mapping[str, Any] | None = None,
        end_of_epoch: bool = True,
        name: str | None = None,
        verbosity: int = logging.INFO,
    ) -> Checkpoint | None:
        """Saves a checkpoint; see ``Checkpointer.save_checkpoint``."""
        saved = super().save_checkpoint(
            dict(meta or {}), end_of_epoch, name, logging.DEBUG
        )
        if saved is not None:
            saved = self._publish(saved)
            logger.log(verbosity, "Saved the checkpoint %s", saved.path)
        # Every process lists the checkpoints before old ones are deleted, and
        # waits for the others at each deletion: all must see the new one.
        ddp_barrier()
        return saved

    @staticmethod
    def _publish(saved: Checkpoint) -> Checkpoint:
        """Gives a folder that is complete its name."""
        final = saved.path.with_name(saved.path.name[len(_UNFINISHED) :])
        if final.exists():
            shutil.rmtree(final)
        os.replace(saved.path, final)
        files = {key: final / f.name for key, f in saved.paramfiles.items()}
        return Checkpoint(final, saved.meta, files)

    def _new_checkpoint_dirpath(self) -> Path:
        final = super()._new_checkpoint_dirpath()
        return final.with_name(_UNFINISHED + final.name)

    def _custom_checkpoint_dirpath(self, name: str) -> Path:
        final = super()._custom_checkpoint_dirpath(name)
        return final.with_name(_UNFINISHED + final.name)
