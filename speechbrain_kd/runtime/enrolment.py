"""A speaker who has enrolled, as a JSON file."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from speechbrain_kd.atomic import atomic_path

FORMAT = "speechbrain_kd.enrolment/1"


@dataclass(frozen=True)
class Enrolment:
    """The mean embedding of a speaker's utterances.

    A voice print is personal data: keep the file as such.

    Arguments
    ---------
    embedding : list[float]
        Of norm 1, [dim].
    utterances : int
        How many it is the mean of.
    model : str
        SHA-256 of the model file; embeddings of other models do not compare.

    Example
    -------
    >>> path = Path(getfixture("tmp_path")) / "ann.json"
    >>> ann = Enrolment([0.6, 0.8], utterances=3, model="00ff")
    >>> ann.save(path)
    >>> Enrolment.load(path) == ann
    True
    """

    embedding: list[float]
    utterances: int
    model: str

    def __post_init__(self) -> None:
        values = self.embedding
        numbers = isinstance(values, list) and all(
            isinstance(value, float) for value in values
        )
        if not numbers or not abs(np.linalg.norm(values) - 1) < 1e-3:
            raise ValueError(
                "an enrolment: expected the embedding as a list of floats of "
                f"norm 1, came {str(values)[:60]}"
            )
        if not isinstance(self.utterances, int) or self.utterances < 1:
            raise ValueError(
                "an enrolment: expected at least one utterance, came "
                f"{self.utterances!r}"
            )
        if not isinstance(self.model, str):
            raise ValueError(
                "an enrolment: expected the SHA-256 of a model as text, came "
                f"{self.model!r}"
            )

    def save(self, path: str | Path) -> None:
        """Writes the enrolment, whole or not at all.

        Arguments
        ---------
        path : str | Path
            The JSON file.
        """
        content = {"format": FORMAT, **asdict(self)}
        with atomic_path(path) as part:
            part.write_text(json.dumps(content) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> "Enrolment":
        """Reads an enrolment.

        Arguments
        ---------
        path : str | Path
            What ``save`` wrote.

        Returns
        -------
        Enrolment
            The same.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If it is no enrolment.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"there is no enrolment {path}")
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            made = isinstance(content, dict) and content.pop("format", None)
            if made != FORMAT:
                raise ValueError(f"expected a JSON object of format {FORMAT}")
            return cls(**content)
        except (RecursionError, TypeError, ValueError) as error:
            raise ValueError(f"{path} is no enrolment: {error}") from error
