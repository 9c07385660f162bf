"""What every distillation term shares: its inputs and their checks."""

from typing import ClassVar

import torch


class DistillationTerm(torch.nn.Module):
    """A scalar that says how far the student is from the teacher.

    A subclass sets ``compares``, ``across_utterances`` where the term of an
    utterance depends on others, and ``needs_labels`` where it depends on the
    speaker, and writes ``distance``. The objective hands it a pair of
    tensors; ``forward`` checks their shapes, detaches the teacher and
    computes in fp32 whatever the autocast precision is.
    """

    #: "embeddings" ([batch, dim]) or "logits" ([batch, classes]).
    compares: ClassVar[str] = "embeddings"

    #: Whether ``distance`` compares utterances with one another. The
    #: objective then hands it the utterances of all ranks.
    across_utterances: ClassVar[bool] = False

    #: Whether ``learn`` must be called before the training.
    learns: bool = False

    #: Whether ``distance`` takes the labels [batch] as a third argument: for
    #: logits the target's column, for embeddings the student's class, or -1
    #: where it is not known. ``learn`` then takes them as a second one.
    needs_labels: ClassVar[bool] = False

    #: Whether a term that ``needs_labels`` does without for utterances that
    #: have none: theirs are -1, -2, …, another for each utterance and speed.
    takes_unlabelled: bool = False

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

    def learn(self, embeddings: torch.Tensor) -> None:
        """Learns what the teacher says of training utterances; or nothing.

        Arguments
        ---------
        embeddings : torch.Tensor
            The teacher's, fp32, shape [utterances, dim], not normalised.
        """

    def expect(self, classes: int, unlabelled: int = 0) -> None:
        """Learns how many labels there are; by default nothing.

        Called after ``learn``, before the training.

        Arguments
        ---------
        classes : int
            Labels are below it.
        unlabelled : int
            Labels are not below minus it.
        """

    def meet(self, cosine_logits: bool) -> None:
        """Learns of what kind the teacher's logits are; by default nothing.

        Arguments
        ---------
        cosine_logits : bool
            Whether they are unscaled cosines; else they are logits of scale
            1, such as log-probabilities.
        """

    def on_progress(self, epoch: float) -> None:
        """Follows the training; called before every step, by default nothing.

        What it sets must follow from ``epoch`` alone: it is not saved.

        Arguments
        ---------
        epoch : float
            Epochs done, with the fraction of the present one.
        """

    def forward(
        self,
        student: torch.Tensor,
        teacher: torch.Tensor,
        labels: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Checks the pair and computes the term.

        Arguments
        ---------
        student : torch.Tensor
            Shape [batch, dim].
        teacher : torch.Tensor
            Shape [batch, dim]. No gradient reaches it.
        labels : torch.Tensor | None
            Shape [batch], for a term that ``needs_labels``.

        Returns
        -------
        torch.Tensor
            A scalar in fp32.

        Raises
        ------
        ValueError
            If the shapes differ or are not [batch, dim], or labels that are
            needed are not [batch].
        """
        if student.ndim != 2 or student.shape != teacher.shape:
            raise ValueError(
                f"{type(self).__name__} compares two tensors of one shape "
                f"[batch, dim]; got student {list(student.shape)} and "
                f"teacher {list(teacher.shape)}"
            )
        needed = ()
        if self.needs_labels:
            self._check_labels(labels, len(student))
            needed = (labels,)
        with torch.autocast(student.device.type, enabled=False):
            return self.distance(
                student.float(), teacher.detach().float(), *needed
            )

    def _check_labels(self, labels, batch):
        """Refuses labels that are missing or not one an utterance."""
        shape = None if labels is None else list(labels.shape)
        if shape != [batch]:
            raise ValueError(
                f"{type(self).__name__} needs the labels of the utterances, "
                f"shape {[batch]}; got {shape}"
            )
