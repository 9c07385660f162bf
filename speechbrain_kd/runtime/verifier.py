"""Are two waveforms of one speaker? With numpy and onnxruntime alone."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from speechbrain_kd.runtime.enrolment import Enrolment
from speechbrain_kd.runtime.model_file import open_model
from speechbrain_kd.runtime.waveform import check_waveform, pieces

#: The longest run of a model by default: longer ones take more memory.
WINDOW_S = 10.0


@dataclass(frozen=True)
class Verdict:
    """What a verification finds.

    Arguments
    ---------
    same_speaker : bool
        Whether ``score >= threshold``.
    score : float
        Cosine of the embeddings, -1 to 1.
    threshold : float
        Cosine to accept from.
    llr : float | None
        Natural-log likelihood ratio: above 0 speaks for one speaker. None
        where the model has no calibration.
    """

    same_speaker: bool
    score: float
    threshold: float
    llr: float | None


class SpeakerVerifier:
    """A speaker model that needs no torch.

    Arguments
    ---------
    path : str | Path
        What ``speechbrain-kd export RUN --to onnx --output FILE`` wrote.
    threads : int
        Of onnxruntime.
    window_s : float | None
        The longest run of the model, in seconds; by default 10. Longer ones,
        of up to what it was exported for (60), need more memory.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no such model, or the window is none that it runs.

    Example
    -------
    >>> SpeakerVerifier("no_such.onnx")
    Traceback (most recent call last):
    ...
    FileNotFoundError: there is no model no_such.onnx: ...
    """

    def __init__(
        self,
        path: str | Path,
        threads: int = 1,
        window_s: float | None = None,
    ) -> None:
        self._session, self.facts = open_model(path, threads)
        longest_s = self.facts.longest_s
        self.window_s = (
            min(WINDOW_S, longest_s) if window_s is None else window_s
        )
        # Cut in two, a waveform must still give windows that are long enough.
        if not 2 * self.facts.shortest_s <= self.window_s <= longest_s:
            raise ValueError(
                f"window_s: expected {2 * self.facts.shortest_s:g} to "
                f"{longest_s:g} seconds, came {window_s}"
            )

    def embed(
        self, waveform: np.ndarray, sample_rate: int | None = None
    ) -> np.ndarray:
        """Embeds one utterance.

        One that is longer than ``window_s`` is cut into equal windows; those
        of silence are left out, and the embedding is the mean of the others',
        brought to norm 1.

        Arguments
        ---------
        waveform : np.ndarray
            One channel [samples] at the model's sample rate: floats of full
            scale 1, or int16 or int32.
        sample_rate : int | None
            Of the waveform, in Hz, to have it checked.

        Returns
        -------
        np.ndarray
            float32 of norm 1, [dim].

        Raises
        ------
        ValueError
            If it is no waveform of one channel, of another rate, shorter than
            0.3 s, silent, or has samples that are NaN or infinite.
        """
        facts = self.facts
        if sample_rate not in (None, facts.sample_rate):
            raise ValueError(
                f"expected a waveform at {facts.sample_rate} Hz, came "
                f"{sample_rate} Hz: resample it first"
            )
        wave = check_waveform(waveform, facts.sample_rate, facts.shortest_s)
        found = [
            self._run(piece)
            for piece in pieces(wave, facts.sample_rate, self.window_s)
        ]
        return found[0] if len(found) == 1 else _mean(found)

    def verify(
        self,
        one: np.ndarray | Enrolment,
        other: np.ndarray | Enrolment,
        prior: float | None = None,
    ) -> Verdict:
        """Compares two utterances, or an utterance with an enrolment.

        Arguments
        ---------
        one, other : np.ndarray | Enrolment
            Waveforms as of ``embed``, or what ``enrol`` gave.
        prior : float | None
            Share of pairs that are of one speaker where this is used; the
            threshold is then the one of fewest errors. By default that of
            equal error rates.

        Returns
        -------
        Verdict
            Decision, score and likelihood ratio.

        Raises
        ------
        ValueError
            As of ``embed``; for an enrolment of another model; or without the
            threshold that is asked for.
        """
        threshold = self._threshold(prior)
        score = float(np.dot(self._embedding(one), self._embedding(other)))
        score = min(1.0, max(-1.0, score))
        facts, llr = self.facts, None
        if facts.slope is not None:
            llr = facts.slope * score + facts.offset
        return Verdict(score >= threshold, score, threshold, llr)

    def enrol(self, waveforms: Sequence[np.ndarray]) -> Enrolment:
        """Enrols a speaker by some utterances.

        Arguments
        ---------
        waveforms : Sequence[np.ndarray]
            As of ``embed``; three or more of some seconds each serve best.

        Returns
        -------
        Enrolment
            To save, and to verify against.

        Raises
        ------
        ValueError
            As of ``embed``, with the number of the waveform; or for none.
        """
        if isinstance(waveforms, np.ndarray) and waveforms.ndim == 1:
            raise ValueError("expected a list of waveforms, came one waveform")
        found = []
        for number, waveform in enumerate(waveforms, start=1):
            try:
                found.append(self.embed(waveform))
            except ValueError as error:
                raise ValueError(f"waveform {number}: {error}") from error
        if not found:
            raise ValueError("expected at least one waveform to enrol, came 0")
        embedding = [float(value) for value in _mean(found)]
        return Enrolment(embedding, len(found), self.facts.digest)

    def _run(self, piece: np.ndarray) -> np.ndarray:
        """Embeds one window [samples]."""
        feed = {"waveform": piece[np.newaxis]}
        embedding = self._session.run(["embedding"], feed)[0][0]
        if not np.isfinite(embedding).all():
            raise ValueError(
                "the model gives no finite embedding: expected samples of full "
                f"scale 1, came up to {np.abs(piece).max():.3g}"
            )
        return embedding

    def _embedding(self, given: np.ndarray | Enrolment) -> np.ndarray:
        """The embedding of a waveform or an enrolment."""
        if not isinstance(given, Enrolment):
            return self.embed(given)
        if given.model != self.facts.digest:
            raise ValueError(
                f"the enrolment is of another model ({given.model[:12]}) than "
                f"this one ({self.facts.digest[:12]}): enrol the speaker anew"
            )
        if len(given.embedding) != self.facts.dimension:
            raise ValueError(
                f"the enrolment has {len(given.embedding)} numbers, expected "
                f"{self.facts.dimension}: it was not made by `enrol`"
            )
        return np.asarray(given.embedding, dtype=np.float32)

    def _threshold(self, prior: float | None) -> float:
        """The cosine to accept from."""
        facts = self.facts
        if prior is not None and not 0 < prior < 1:
            raise ValueError(f"prior: expected between 0 and 1, came {prior}")
        if prior is None:
            threshold = facts.threshold
        elif facts.slope is None:
            threshold = None
        else:
            threshold = (
                math.log((1 - prior) / prior) - facts.offset
            ) / facts.slope
        if threshold is None:
            raise ValueError(
                f"the model {facts.name} was exported without a calibration: "
                "compare embeddings, and set a threshold on your own trials"
            )
        return threshold


def _mean(embeddings: Sequence[np.ndarray]) -> np.ndarray:
    """The mean, brought to norm 1."""
    mean = np.mean(embeddings, axis=0)
    return mean / max(float(np.linalg.norm(mean)), 1e-12)
