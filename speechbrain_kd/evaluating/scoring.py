"""How embeddings become scores, as the command line asks for it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Scoring:
    """How embeddings become scores.

    Arguments
    ---------
    norm : str | None
        ``"z"``, ``"t"``, ``"s"``, ``"as"``; None leaves cosines alone.
    top_k : int
        Cohort speakers that adaptive s-norm takes.
    centre : bool
        Whether the cohort's mean is subtracted.
    backend : str
        ``"cosine"``, or ``"plda"`` trained on the cohort, without the others.
    """

    norm: str | None = None
    top_k: int = 300
    centre: bool = False
    backend: str = "cosine"

    def describe(self) -> str:
        """How scores were made, a sentence."""
        kinds = {"as": f"adaptive s-norm (top {self.top_k})"}
        if self.backend == "plda":
            return "Scores of whole utterances by PLDA, trained on the cohort."
        parts = ["Cosine scores of whole utterances"]
        if self.centre:
            parts.append("the mean of the cohort subtracted")
        if self.norm:
            parts.append(kinds.get(self.norm, f"{self.norm}-norm"))
        return ", ".join(parts) + "."
