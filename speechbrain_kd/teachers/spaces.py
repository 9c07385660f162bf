"""Maps from the embeddings of one teacher into the space of another."""

import torch

MAPS = ("procrustes", "ridge")


def fit_map(
    ours: torch.Tensor,
    theirs: torch.Tensor,
    how: str = "procrustes",
    strength: float = 1e-3,
) -> torch.Tensor:
    """Finds the matrix that takes one teacher's embeddings to another's.

    Arguments
    ---------
    ours : torch.Tensor
        Unit embeddings ``[utterances, dim]`` to be mapped.
    theirs : torch.Tensor
        Unit embeddings of the same utterances, ``[utterances, other dim]``.
    how : str
        ``"procrustes"``: a rotation, which keeps all angles (between unequal
        dimensions an isometry or a projection). ``"ridge"``: any linear map,
        by least squares, which may stretch.
    strength : float
        Ridge: the penalty, as a share of the mean variance.

    Returns
    -------
    torch.Tensor
        fp32, ``[dim, other dim]``.

    Raises
    ------
    ValueError
        If there is no such kind of map, or too few utterances for it.

    Reference
    ---------
    Schönemann, "A generalized solution of the orthogonal Procrustes
    problem", Psychometrika 31, 1966.

    Example
    -------
    >>> theirs = torch.nn.functional.normalize(torch.randn(50, 4))
    >>> rotation = torch.linalg.qr(torch.randn(4, 4))[0]
    >>> found = fit_map(theirs @ rotation, theirs)
    >>> torch.allclose(found, rotation.T, atol=1e-5)
    True
    """
    if how not in MAPS:
        raise ValueError(
            f"The alignment of an ensemble is one of {', '.join(MAPS)}; got "
            f"{how!r}"
        )
    needed = max(ours.shape[1], theirs.shape[1])
    if len(ours) < needed:
        raise ValueError(
            f"Embeddings of {needed} dimensions are aligned by at least as "
            f"many utterances; got {len(ours)}: raise utterances_per_speaker, "
            "or use combine: concatenate"
        )
    ours, theirs = ours.double(), theirs.double()
    across = ours.T @ theirs
    if how == "procrustes":
        left, _, right = torch.linalg.svd(across, full_matrices=False)
        return (left @ right).float()
    within = ours.T @ ours
    penalty = strength * within.diagonal().mean()
    within.diagonal().add_(penalty)
    return torch.linalg.solve(within, across).float()
