"""The sum of distillation terms, by name, with weights and ramps."""

from collections.abc import Mapping, Sequence

import torch

from speechbrain_kd.distributed.gather import gather_rows
from speechbrain_kd.losses.balance import balance_of
from speechbrain_kd.losses.ramps import CLASSIFICATION, TermWeights
from speechbrain_kd.losses.shared_classes import SharedClasses
from speechbrain_kd.losses.term import DistillationTerm

#: Where a projector lies between the student's embeddings and the teacher's.
PROJECTORS = ("needed", "always")


class DistillationObjective(torch.nn.Module):
    """Distillation terms by name, their weights, and what they share.

    What they share: the training-only projector that lies between a student
    and a teacher of different dimensions, and the table of classes that both
    know. Neither is ever exported.

    Arguments
    ---------
    terms : Mapping[str, DistillationTerm]
        The terms; the names appear in the progress bar and the logs.
    weights : Mapping[str, float]
        A weight for every term, and for ``classification``, the loss on the
        labels (``compute_cost``).
    warmup_epochs : float
        Epochs over which the weights of the distillation terms rise from 0.
    ramps : Mapping[str, Sequence[float]] | None
        For a term by name, [start, end] in epochs: its factor is 0 before
        start, rises linearly, and is 1 after end (or the reverse, falling,
        where end is before start); or [start, full, fall, stop], 0 again
        after stop. Takes precedence over ``warmup_epochs``;
        ``classification`` may be named too.
    balance : str | None
        ``gradient_norm``: a weight is how many times as strongly as the
        classification loss the term pulls at the embeddings, measured as
        the training goes on (``GradientBalance``). ``None``: weights are
        factors of the losses.
    projector : str
        ``needed``: between dimensions that differ. ``always``: also where
        they agree, so that the student is taught in its own space, which the
        labels may use as they like; what a teacher enrolled it then verifies
        through the projector alone.

    Raises
    ------
    ValueError
        If terms and weights do not name the same things, a ramp is none, or
        there is no such balance or projector.

    Example
    -------
    >>> from speechbrain_kd.losses import CosineEmbedding
    >>> objective = DistillationObjective(
    ...     terms={"embedding": CosineEmbedding()},
    ...     weights={"classification": 1.0, "embedding": 10.0},
    ...     warmup_epochs=5,
    ... )
    >>> [objective.weight("embedding", epoch) for epoch in (0, 2.5, 5, 9)]
    [0.0, 5.0, 10.0, 10.0]
    """

    def __init__(
        self,
        terms: Mapping[str, DistillationTerm],
        weights: Mapping[str, float],
        warmup_epochs: float = 0.0,
        ramps: Mapping[str, Sequence[float]] | None = None,
        balance: str | None = None,
        projector: str = "needed",
    ) -> None:
        super().__init__()
        if projector not in PROJECTORS:
            raise ValueError(
                f"projector must be one of {', '.join(PROJECTORS)}; got "
                f"{projector!r}"
            )
        self.schedule = TermWeights(list(terms), weights, warmup_epochs, ramps)
        self.terms = torch.nn.ModuleDict(terms)
        self.balance = balance_of(list(terms), balance)
        self.projects = projector
        self.projector: torch.nn.Module = torch.nn.Identity()
        self.shared_classes = SharedClasses()
        self.unlabelled = 0  # utterances without labels, times speeds

    def compares(self, what: str) -> bool:
        """Whether one compares "embeddings", "logits" or "hidden" layers."""
        return any(term.compares == what for term in self.terms.values())

    @property
    def weights(self) -> dict[str, float]:
        """The weights by name, without their ramps."""
        return self.schedule.weights

    def weight(self, name: str, epoch: float) -> float | torch.Tensor:
        """The weight of a term (or of classification) at a moment.

        Arguments
        ---------
        name : str
            A key of ``weights``.
        epoch : float
            Epochs done, with the fraction of the present one.

        Returns
        -------
        float | torch.Tensor
            The weight times its ramp and, where terms are balanced, times
            what the balance has found.
        """
        weight = self.schedule.at(name, epoch)
        if self.balance is None or name == CLASSIFICATION:
            return weight
        return weight * self.balance.factor(name)

    def project(self, student_dim: int, teacher_dim: int) -> None:
        """Puts a linear projector between the embeddings, where it belongs.

        Arguments
        ---------
        student_dim : int
            Dimension of the student's embeddings.
        teacher_dim : int
            Dimension of the teacher's.
        """
        if not self.compares("embeddings"):
            return
        if self.projects == "always" or student_dim != teacher_dim:
            self.projector = torch.nn.Linear(
                student_dim, teacher_dim, bias=False
            )

    def meet(self, cosine_logits: bool) -> None:
        """Tells every term of what kind the teacher's logits are.

        Arguments
        ---------
        cosine_logits : bool
            Whether they are unscaled cosines.
        """
        for term in self.terms.values():
            term.meet(cosine_logits)

    def expect(self, classes: int) -> None:
        """Tells every term how many labels there are.

        Arguments
        ---------
        classes : int
            Labels are below it.
        """
        for term in self.terms.values():
            term.expect(classes, self.unlabelled)

    def on_progress(self, epoch: float) -> None:
        """Lets every term follow the training.

        Arguments
        ---------
        epoch : float
            Epochs done, with the fraction of the present one.
        """
        for term in self.terms.values():
            term.on_progress(epoch)

    def align(
        self, student_index: torch.Tensor, teacher_index: torch.Tensor
    ) -> None:
        """Names the classes that student and teacher share.

        Arguments
        ---------
        student_index : torch.Tensor
            Columns of the student's logits, shape [shared].
        teacher_index : torch.Tensor
            Columns of the teacher's logits of the same speakers, [shared].
        """
        self.shared_classes.align(student_index, teacher_index)

    def forward(
        self,
        student: Mapping[str, torch.Tensor],
        teacher: Mapping[str, torch.Tensor],
        labels: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """Every term, not yet weighted.

        Arguments
        ---------
        student : Mapping[str, torch.Tensor]
            ``embeddings`` [batch, dim]; for label-level terms ``logits``
            [batch, classes] without margin; for terms on hidden layers
            ``hidden``, [batch, frames, width] by path, and ``lens``
            [batch] or None.
        teacher : Mapping[str, torch.Tensor]
            The same from the teacher, in its dimension, classes and paths.
        labels : torch.Tensor | None
            Classes of the student, shape [batch]: the teacher's posteriors
            are used only for speakers that it knows. Terms that need labels
            get them as columns of the logits that they compare. -1 where
            there is none.

        Returns
        -------
        dict[str, torch.Tensor]
            A scalar for every term.
        """
        inputs, share = {}, {"embeddings": 1.0, "hidden": 1.0}
        if self.compares("embeddings"):
            projected = self.projector(student["embeddings"])
            inputs["embeddings"] = projected, teacher["embeddings"], labels
        if self.compares("logits"):
            logits = student["logits"]
            inputs["logits"] = self.shared_classes(
                logits, teacher["logits"], labels
            )
            known = len(inputs["logits"][0])
            share["logits"] = self.shared_classes.share_of_known(known, logits)
        if self.compares("hidden"):
            pair = student["hidden"], teacher["hidden"]
            inputs["hidden"] = *pair, student.get("lens")
        everyone = self._of_all_ranks(inputs)
        return {
            name: self._term(term, *everyone[term.compares])
            if term.across_utterances
            else self._term(term, *inputs[term.compares]) * share[term.compares]
            for name, term in self.terms.items()
        }

    def _of_all_ranks(self, inputs):
        """What terms across utterances compare, of the ranks together."""
        gathered = {}
        for level, (student, teacher, labels) in inputs.items():
            terms = [
                term
                for term in self.terms.values()
                if term.across_utterances and term.compares == level
            ]
            if not terms:
                continue
            if labels is not None and any(term.needs_labels for term in terms):
                labels = gather_rows(labels)
            gathered[level] = (
                gather_rows(student.float()),
                gather_rows(teacher.float()),
                labels,
            )
        return gathered

    @staticmethod
    def _term(term, student, teacher, labels):
        """A term, or zero where no utterance of the batch has a target."""
        if term.compares == "hidden":
            return term(student, teacher, labels)  # relative lengths
        if not len(student):
            return student.sum()
        if term.needs_labels:
            return term(student, teacher, labels)
        return term(student, teacher)
