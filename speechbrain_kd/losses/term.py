"""What every distillation term shares: its inputs and their checks."""

from typing import ClassVar

import torch


class DistillationTerm(torch.nn.Module):
    """A scalar that says how far the student is from the teacher.

    A subclass sets ``compares``, and ``across_utterances`` where the term of
    an utterance depends on others, and writes ``distance``. The objective hands
    it a pair of tensors; ``forward`` checks their shapes, detaches the
    teacher and computes in fp32 whatever the autocast precision is.
    """

    #: "embeddings" ([batch, dim]) or "logits" ([batch, classes]).
    compares: ClassVar[str] = "embeddings"

    #: Whether ``distance`` compares utterances with one another. The
    #: objective then hands it the utterances of all ranks.
    across_utterances: ClassVar[bool] = False

    def distance(
        self, student: torch.Tensor, teacher: torch.Tensor
    ) -> torch.Tensor:
        """The term itself, on fp32 tensors of one shape.

        Arguments
        ---------
        student : torch.Tensor
            Shape [batch, dim]; carries the gradient.
        teacher : torch.Tensor
            Shape [batch, dim]; detached.

        Returns
        -------
        torch.Tensor
            A scalar: the mean over the batch.
        """
        raise NotImplementedError

    def meet(self, cosine_logits: bool) -> None:
        """Learns of what kind the teacher's logits are; by default nothing.

        Arguments
        ---------
        cosine_logits : bool
            Whether they are unscaled cosines; else they are logits of scale
            1, such as log-probabilities.
        """

    def forward(
        self, student: torch.Tensor, teacher: torch.Tensor
    ) -> torch.Tensor:
        """Checks the pair and computes the term.

        Arguments
        ---------
        student : torch.Tensor
            Shape [batch, dim].
        teacher : torch.Tensor
            Shape [batch, dim]. No gradient reaches it.

        Returns
        -------
        torch.Tensor
            A scalar in fp32.

        Raises
        ------
        ValueError
            If the shapes differ or are not [batch, dim].
        """
        if student.ndim != 2 or student.shape != teacher.shape:
            raise ValueError(
                f"{type(self).__name__} compares two tensors of one shape "
                f"[batch, dim]; got student {list(student.shape)} and "
                f"teacher {list(teacher.shape)}"
            )
        with torch.autocast(student.device.type, enabled=False):
            return self.distance(student.float(), teacher.detach().float())
