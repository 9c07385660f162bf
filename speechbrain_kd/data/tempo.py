"""Speech faster or slower at its own pitch: the same voice in another hurry."""

from collections.abc import Sequence

import torch

_SLOWEST, _FASTEST = 0.5, 2.0


class RandomTempo(torch.nn.Module):
    """Plays the features of each utterance at another tempo.

    Frames are interpolated along time and mel bins stay where they are, so
    that pitch and formants do, and with them the voice: the label and what a
    teacher says of the utterance still hold. (``speeds`` resample the audio,
    and so make other voices.) A student that has little speech learns the
    hurry of its speakers by heart; at a tempo that is drawn anew each time
    it cannot.

    All utterances keep as many frames as the fastest tempo leaves of them,
    from a place that is drawn: of 2.3 s at up to 1.15, 2 s. It is called with
    features and relative lengths as SpeechBrain's augmentations are, and
    draws from torch's generator.

    Arguments
    ---------
    tempo : Sequence[float]
        Slowest and fastest: 1.15 is faster by 15 %. Drawn uniformly.

    Raises
    ------
    ValueError
        If they are not two numbers in order, from 0.5 to 2.

    Reference
    ---------
    Of waveforms: Ko et al., "Audio augmentation for speech recognition",
    Interspeech 2015.

    Example
    -------
    >>> tempo = RandomTempo([0.9, 1.25])
    >>> feats = torch.arange(101.0).view(1, 101, 1).expand(8, -1, 2)
    >>> heard, lens = tempo(feats, torch.ones(8))
    >>> heard.shape, lens.unique()
    (torch.Size([8, 81, 2]), tensor([1.]))
    >>> steps = heard.diff(dim=1)[:, 0, 0]
    >>> bool((steps >= 0.9).all() and (steps <= 1.25).all())
    True
    """

    def __init__(self, tempo: Sequence[float] = (0.85, 1.15)) -> None:
        super().__init__()
        self.slowest, self.fastest = _checked(tempo)

    def forward(
        self, feats: torch.Tensor, lens: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Another tempo for each utterance.

        Arguments
        ---------
        feats : torch.Tensor
            Shape [batch, time, mels].
        lens : torch.Tensor
            Relative lengths, shape [batch].

        Returns
        -------
        tuple[torch.Tensor, torch.Tensor]
            Features [batch, fewer frames, mels] of which the mean over time
            is what it was, so that what was normalised stays so; relative
            lengths [batch].
        """
        last = feats.shape[1] - 1
        if last < 1:
            return feats, lens
        drawn = torch.rand(2, len(feats)).to(feats.device)
        tempo = self.slowest + (self.fastest - self.slowest) * drawn[0]
        kept = int(last / self.fastest)  # steps from frame to frame
        # Where an utterance is padded, the padding stays behind it.
        own = (lens * (last + 1) - 1).clamp(min=0)
        start = drawn[1] * (own - tempo * kept).clamp(min=0)
        steps = torch.arange(kept + 1, device=feats.device)
        places = (start[:, None] + tempo[:, None] * steps).clamp(max=last)
        before = places.floor().long().clamp(max=last - 1)
        share = (places - before)[..., None].to(feats.dtype)
        rows = before[..., None].expand(-1, -1, feats.shape[2])
        heard = torch.lerp(
            feats.gather(1, rows), feats.gather(1, rows + 1), share
        )
        heard_lens = (((own - start) / tempo + 1) / (kept + 1)).clamp(max=1.0)
        moved = _means(feats, lens) - _means(heard, heard_lens)
        return heard + moved, heard_lens


def augmented_features(
    augment: torch.nn.Module,
    feats: torch.Tensor,
    lens: torch.Tensor | None,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Features as an augmentation of SpeechBrain's kind gives them.

    Arguments
    ---------
    augment : torch.nn.Module
        ``fea_augment``: features and relative lengths to the same.
    feats : torch.Tensor
        Shape [batch, time, mels].
    lens : torch.Tensor | None
        Relative lengths [batch]; ``None`` where nothing is padded.

    Returns
    -------
    tuple[torch.Tensor, torch.Tensor | None]
        Of as many utterances.

    Raises
    ------
    ValueError
        If it makes more utterances of a batch, or fewer: labels and the
        teacher's answers are of those that came.
    """
    given = feats.new_ones(len(feats)) if lens is None else lens
    heard, heard_lens = augment(feats, given)
    if len(heard) != len(feats):
        raise ValueError(
            f"fea_augment made {len(heard)} utterances of {len(feats)}: "
            "expected as many (for SpeechBrain's Augmenter: concat_original: "
            "False, parallel_augment: False, repeat_augment: 1)"
        )
    return heard, None if lens is None else heard_lens


def _means(feats: torch.Tensor, lens: torch.Tensor) -> torch.Tensor:
    """Means over time of what is not padded, [batch, 1, mels]."""
    frames = torch.arange(feats.shape[1], device=feats.device)
    ends = (lens * feats.shape[1]).round().clamp(min=1)
    mask = (frames < ends[:, None]).unsqueeze(-1).to(feats.dtype)
    return (feats * mask).sum(dim=1, keepdim=True) / mask.sum(
        dim=1, keepdim=True
    )


def _checked(tempo: Sequence[float]) -> tuple[float, float]:
    """Slowest and fastest, or a ValueError."""
    numbers = isinstance(tempo, Sequence) and all(
        isinstance(one, (int, float)) and not isinstance(one, bool)
        for one in tempo
    )
    pair = numbers and len(tempo) == 2
    if not pair or not _SLOWEST <= tempo[0] <= tempo[1] <= _FASTEST:
        raise ValueError(
            "RandomTempo: tempo must be [slowest, fastest], from "
            f"{_SLOWEST} to {_FASTEST}; got {tempo!r}"
        )
    return float(tempo[0]), float(tempo[1])
