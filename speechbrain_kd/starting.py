"""A training that begins with what another one has learnt."""

import logging
from collections.abc import Mapping
from pathlib import Path

import torch
from speechbrain.utils.checkpoints import (
    DEFAULT_LOAD_HOOKS,
    Checkpointer,
    get_default_hook,
)

logger = logging.getLogger(__name__)


def start_from(
    run: str | Path, modules: Mapping[str, torch.nn.Module | None]
) -> list[str]:
    """Loads the last checkpoint of a run into modules.

    The optimiser, the epochs and the order of the data begin anew.

    Arguments
    ---------
    run : str | Path
        The folder of a run, with its ``save``.
    modules : Mapping[str, torch.nn.Module | None]
        By their names among the recoverables of a checkpoint; what the run
        does not have, and what is None, is left as it is.

    Returns
    -------
    list[str]
        The names of what was loaded.

    Raises
    ------
    FileNotFoundError
        If the run has no checkpoint.
    ValueError
        If the modules are not those of the run.

    Example
    -------
    >>> start_from("no/such/run", {})
    Traceback (most recent call last):
    ...
    FileNotFoundError: start_from: no/such/run has no checkpoint ...
    """
    folder = Path(run) / "save"
    found = None
    if folder.is_dir():
        found = Checkpointer(folder).find_checkpoint()
    if found is None:
        raise FileNotFoundError(
            f"start_from: {run} has no checkpoint (save/CKPT+…); expected the "
            "folder of a run of train_kd.py"
        )
    loaded = []
    for name, module in modules.items():
        if module is None or name not in found.paramfiles:
            continue
        load = get_default_hook(module, DEFAULT_LOAD_HOOKS)
        try:
            load(module, found.paramfiles[name], True)
        except RuntimeError as error:
            raise ValueError(
                f"start_from: {name} is not that of {run}: expected the same "
                "student, features, training speakers, speeds and terms "
                f"({' '.join(str(error).split())[:200]})"
            ) from error
        loaded.append(name)
    if "embedding_model" not in loaded:
        raise ValueError(f"start_from: {run} has no embedding_model")
    logger.info("Starting from %s: %s", found.path, ", ".join(loaded))
    return loaded
