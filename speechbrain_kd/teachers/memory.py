"""What the teacher said of a view, so that it hears each view once."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from speechbrain.utils.checkpoints import (
    mark_as_loader,
    mark_as_saver,
    register_checkpoint_hooks,
)


@register_checkpoint_hooks
class TeacherMemory:
    """Embeddings of the teacher by view: an utterance and a crop of it.

    Held in memory and in the checkpoints, so that a resumed run goes on with
    the very same targets: meant for corpora of some 100,000 views at most.
    Logits are not held; they follow from the embeddings.

    Example
    -------
    >>> memory = TeacherMemory()
    >>> ask = lambda rows: torch.ones(len(rows), 3)
    >>> memory.recall(["a/0", "b/0"], ask).shape
    torch.Size([2, 3])
    >>> memory.recall(["b/0"], ask=None)  # the teacher is not asked again
    tensor([[1., 1., 1.]])
    """

    def __init__(self) -> None:
        self.embeddings: dict[str, torch.Tensor] = {}

    def recall(
        self,
        views: Sequence[str],
        ask: Callable[[list[int]], torch.Tensor],
    ) -> torch.Tensor:
        """Embeddings of views; the teacher is asked for those not yet heard.

        Arguments
        ---------
        views : Sequence[str]
            Names of the views of a batch.
        ask : Callable[[list[int]], torch.Tensor]
            Gives the teacher's embeddings [rows, dim] of rows of the batch.

        Returns
        -------
        torch.Tensor
            Shape [batch, dim], on the CPU.
        """
        new = [
            row for row, view in enumerate(views) if view not in self.embeddings
        ]
        if new:
            for row, embedding in zip(new, ask(new).cpu(), strict=True):
                self.embeddings[views[row]] = embedding.clone()
        return torch.stack([self.embeddings[view] for view in views])

    @mark_as_saver
    def save(self, path: str | Path) -> None:
        """Saves names and embeddings."""
        stacked = torch.stack(list(self.embeddings.values()) or [torch.ones(0)])
        state = {"views": list(self.embeddings), "embeddings": stacked}
        torch.save(state, path)

    @mark_as_loader
    def load(self, path: str | Path, end_of_epoch: bool) -> None:
        """Restores what ``save`` wrote."""
        del end_of_epoch
        state = torch.load(path, weights_only=True)
        rows = zip(state["views"], state["embeddings"], strict=False)
        self.embeddings = {view: row.clone() for view, row in rows}
