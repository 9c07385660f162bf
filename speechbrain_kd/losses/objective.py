"""The sum of distillation terms, by name, with weights and ramps."""

from collections.abc import Mapping, Sequence

import torch

from speechbrain_kd.distributed.gather import gather_rows, ranks, sum_over_ranks
from speechbrain_kd.losses.term import DistillationTerm

CLASSIFICATION = "classification"


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
        where end is before start). Takes precedence over ``warmup_epochs``;
        ``classification`` may be named too.

    Raises
    ------
    ValueError
        If terms and weights do not name the same things.

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
    ) -> None:
        super().__init__()
        named = {CLASSIFICATION, *terms}
        if set(weights) != named:
            raise ValueError(
                "distillation: weights must name classification and every "
                f"term; expected {sorted(named)}, got {sorted(weights)}"
            )
        if unknown := set(ramps or {}) - named:
            raise ValueError(
                f"distillation: ramps name {sorted(unknown)}; expected some "
                f"of {sorted(named)}"
            )
        self.terms = torch.nn.ModuleDict(terms)
        self.weights = dict(weights)
        self.ramps = dict.fromkeys(terms, (0.0, warmup_epochs))
        self.ramps.update(
            {name: tuple(ramp) for name, ramp in (ramps or {}).items()}
        )
        self.projector: torch.nn.Module = torch.nn.Identity()
        self.register_buffer("student_index", None, persistent=False)
        self.register_buffer("teacher_index", None, persistent=False)

    def compares(self, what: str) -> bool:
        """Whether a term compares ``"embeddings"`` or ``"logits"``."""
        return any(term.compares == what for term in self.terms.values())

    def weight(self, name: str, epoch: float) -> float:
        """The weight of a term (or of classification) at a moment.

        Arguments
        ---------
        name : str
            A key of ``weights``.
        epoch : float
            Epochs done, with the fraction of the present one.

        Returns
        -------
        float
            The weight times its ramp.
        """
        start, end = self.ramps.get(name, (0.0, 0.0))
        if start == end:
            factor = float(epoch >= start)
        else:
            factor = min(
                max((epoch - min(start, end)) / abs(end - start), 0), 1
            )
            factor = 1 - factor if end < start else factor
        return self.weights[name] * factor

    def project(self, student_dim: int, teacher_dim: int) -> None:
        """Puts a linear projector between differing dimensions.

        Arguments
        ---------
        student_dim : int
            Dimension of the student's embeddings.
        teacher_dim : int
            Dimension of the teacher's.
        """
        if self.compares("embeddings") and student_dim != teacher_dim:
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
        self.student_index = student_index
        self.teacher_index = teacher_index

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
            ``embeddings`` [batch, dim] and, for label-level terms,
            ``logits`` [batch, classes] without margin.
        teacher : Mapping[str, torch.Tensor]
            The same from the teacher, in its dimension and classes.
        labels : torch.Tensor | None
            Classes of the student, shape [batch]: the teacher's posteriors
            are used only for speakers that it knows.

        Returns
        -------
        dict[str, torch.Tensor]
            A scalar for every term.
        """
        pairs = {}
        if self.compares("embeddings"):
            pairs["embeddings"] = (
                self.projector(student["embeddings"]),
                teacher["embeddings"],
            )
        if self.compares("logits"):
            pairs["logits"] = self._shared_logits(student, teacher, labels)
        everyone = {
            term.compares: [
                gather_rows(x.float()) for x in pairs[term.compares]
            ]
            for term in self.terms.values()
            if term.across_utterances
        }
        share = self._share_of_known(student, pairs)
        return {
            name: self._term(term, *everyone[term.compares])
            if term.across_utterances
            else self._term(term, *pairs[term.compares]) * share[term.compares]
            for name, term in self.terms.items()
        }

    @staticmethod
    def _term(
        term: DistillationTerm, student: torch.Tensor, teacher: torch.Tensor
    ) -> torch.Tensor:
        """A term, or zero where no utterance of the batch has a target."""
        return term(student, teacher) if len(student) else student.sum()

    def _knows_all(self, logits: torch.Tensor) -> bool:
        """Whether the teacher knows every class of the student."""
        index = self.student_index
        return index is None or len(index) == logits.shape[1]

    def _share_of_known(
        self,
        student: Mapping[str, torch.Tensor],
        pairs: Mapping[str, tuple[torch.Tensor, torch.Tensor]],
    ) -> dict[str, torch.Tensor | float]:
        """What the mean of this rank counts among those of all ranks.

        More than 1 where more of its utterances have label-level targets
        than of other ranks'.
        """
        world = ranks()[1]
        share: dict[str, torch.Tensor | float] = dict.fromkeys(pairs, 1.0)
        if "logits" not in pairs or world == 1:
            return share
        if not self._knows_all(student["logits"]):
            known = torch.tensor(
                float(len(pairs["logits"][0])), device=student["logits"].device
            )
            everyone = sum_over_ranks(known).clamp(min=1)
            share["logits"] = world * known / everyone
        return share

    def _shared_logits(
        self,
        student: Mapping[str, torch.Tensor],
        teacher: Mapping[str, torch.Tensor],
        labels: torch.Tensor | None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits of shared classes, of utterances whose speaker is shared."""
        ours, theirs = student["logits"], teacher["logits"]
        if self.student_index is None:
            return ours, theirs
        if labels is not None and not self._knows_all(ours):
            known = torch.isin(labels, self.student_index)
            ours, theirs = ours[known], theirs[known]
        return ours[:, self.student_index], theirs[:, self.teacher_index]
