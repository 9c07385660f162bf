"""Centres of classes, found from the teacher's views while training."""

import torch
from torch.nn import functional

from speechbrain_kd.losses.late_buffers import LateBuffers


class ViewCentres(LateBuffers):
    """Means of the teacher's unit embeddings of all views met so far.

    One for each class (speaker, or pseudo-speaker of another speed) and for
    each unlabelled utterance and speed. They are saved and resumed; handed
    the utterances of all ranks, they are the same on every rank. In eval mode
    they stay as they are. They take ``dim`` numbers each.

    Arguments
    ---------
    most_unlabelled : int
        Where there are more unlabelled utterances (times speeds), they have
        no centres of their own.
    centre : bool
        Whether the mean of all centres is taken off: a student whose
        embeddings are compared with them has nothing to learn of what all of
        the teacher's have in common, which tells no two voices apart.

    Example
    -------
    >>> centres = ViewCentres()
    >>> centres.expect(classes=2, unlabelled=1)
    >>> rows, known, own, _ = centres(torch.eye(2), torch.tensor([1, -1]))
    >>> known, own
    (tensor([False,  True,  True]), tensor([1, 2]))
    >>> rows
    tensor([[0., 0.],
            [1., 0.],
            [0., 1.]])
    """

    def __init__(
        self, most_unlabelled: int = 65536, centre: bool = False
    ) -> None:
        super().__init__()
        self.most_unlabelled = most_unlabelled
        self.centre = centre
        self.classes = self.others = 0
        self.register_buffer("sums", None)
        self.register_buffer("counts", None)

    def expect(self, classes: int, unlabelled: int = 0) -> None:
        """Makes room for centres, of which none is known yet.

        Arguments
        ---------
        classes : int
            Labels are below it.
        unlabelled : int
            Labels are not below minus it.
        """
        self.classes = classes
        self.others = unlabelled if unlabelled <= self.most_unlabelled else 0

    def forward(
        self, teacher: torch.Tensor, labels: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Meets the views of a batch; gives all centres.

        Arguments
        ---------
        teacher : torch.Tensor
            Its embeddings, shape [batch, dim].
        labels : torch.Tensor
            Shape [batch]; below 0 those of unlabelled utterances: -1 is the
            first's.

        Returns
        -------
        tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]
            Unit centres [rows, dim], zeros where nothing was met; which are
            known, [rows]; the row of each utterance's own, [batch], which is
            ``rows`` where it has none; the teacher's embeddings as they are
            compared with the centres, of norm 1, [batch, dim].
        """
        rows = self.classes + self.others
        teacher = functional.normalize(teacher.detach().float(), dim=-1)
        if self.sums is None:
            self.sums = teacher.new_zeros(rows, teacher.shape[1])
            self.counts = teacher.new_zeros(rows)
        own = torch.where(labels < 0, self.classes - 1 - labels, labels)
        own = own.clamp(max=rows)
        if self.training:
            self._add(teacher, own)
        known = self.counts > 0
        if not self.centre:
            return functional.normalize(self.sums, dim=-1), known, own, teacher
        means = self.sums / self.counts.clamp(min=1)[:, None]
        mean = means.sum(dim=0) / known.sum().clamp(min=1)
        rows = functional.normalize(means - mean, dim=-1) * known[:, None]
        placed = functional.normalize(teacher - mean, dim=-1)
        return rows, known, own, placed

    @torch.no_grad()
    def _add(self, teacher, own):
        """Adds views to the sums; not in place, since backward needs them."""
        has = (own < len(self.sums)).to(teacher)
        place = own.clamp(max=len(self.sums) - 1)
        self.sums = self.sums.index_add(0, place, teacher * has[:, None])
        self.counts = self.counts.index_add(0, place, has)
