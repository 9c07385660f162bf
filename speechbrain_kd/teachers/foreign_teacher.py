"""What all foreign models have in common: a declared front end, utterances at
their own length, and whatever their export left free or fixed."""

from collections.abc import Mapping, Sequence

import torch
from torch.utils.flop_counter import FlopCounterMode

from speechbrain_kd.teachers.base import Teacher
from speechbrain_kd.teachers.dry_run import check_answers
from speechbrain_kd.teachers.frontend import FrontEnd
from speechbrain_kd.teachers.layout import Layout

_SAMPLE_RATE = 16000
_PROBE = (16000, 24000)  # samples of the dry run


class ForeignTeacher(Teacher):
    """A speaker model of another toolkit. Subclasses implement ``run_model``
    and end their constructor with ``prepare()``.

    Utterances of unequal length are cut to their own and run in groups of
    equal length, so that padding cannot change an embedding.

    Arguments
    ---------
    source : str
        Where the model came from.
    frontend : FrontEnd
        From waveforms to the model's input.
    windows : bool
        Whether a model of a fixed length hears other utterances too: longer
        ones in windows of that length, evenly spread over the whole, whose
        embeddings of length one are averaged; shorter ones repeated. Without
        it they are refused.
    trained_on : Sequence[str]
        Names of the corpora that the teacher has seen.
    """

    def __init__(
        self,
        source: str,
        frontend: FrontEnd,
        windows: bool = False,
        trained_on: Sequence[str] = (),
    ) -> None:
        super().__init__(source, trained_on=trained_on)
        self.features = frontend
        # Plain, so that the fingerprint knows them.
        self.frontend = frontend.kind
        self.n_mels = frontend.n_mels
        self.waveform_scale = frontend.waveform_scale
        self.mean_norm = frontend.mean_norm
        kaldi = frontend.compute_features
        self.dither = float(getattr(kaldi, "dither", 0.0))
        self.window = getattr(kaldi, "window_name", None)
        self.windows = windows
        self.layout = Layout("its input")

    def run_model(self, feats: torch.Tensor) -> torch.Tensor:
        """Embeds what the model takes; for subclasses to implement.

        Arguments
        ---------
        feats : torch.Tensor
            As the layout arranges it.

        Returns
        -------
        torch.Tensor
            ``[batch, dim]``, with any further axes of size one.
        """
        raise NotImplementedError(f"{type(self).__name__} has no run_model()")

    def prepare(self) -> None:
        """Freezes the teacher, tries it and finds its embedding's size.

        Raises
        ------
        ValueError
            If what it gives is no embedding; see
            :mod:`~speechbrain_kd.teachers.dry_run`.
        """
        self.freeze()
        self.mels_first = self.layout.mels_first
        fixed = self.layout.length
        samples = _PROBE
        if fixed is not None:
            samples = (self.features.samples(fixed),) * 2
        noise = torch.Generator().manual_seed(0)
        answers = [
            self.embed(0.1 * torch.randn(1, count, generator=noise))
            for count in samples
        ]
        check_answers(answers, self.source)
        self.embedding_dim = answers[0].shape[1]

    def encode(self, wavs: torch.Tensor, lens: torch.Tensor) -> torch.Tensor:
        """Embeds a batch, each utterance at its own length."""
        samples = (lens * wavs.shape[1]).round().long().tolist()
        embeddings: list[torch.Tensor | None] = [None] * len(samples)
        for length in sorted(set(samples)):
            rows = [row for row, own in enumerate(samples) if own == length]
            for row, embedding in zip(
                rows, self._embed_equal(wavs[rows, :length]), strict=True
            ):
                embeddings[row] = embedding
        return torch.stack(embeddings)

    def macs(self, seconds: float) -> int:
        """Counts what the network, without its features, takes.

        Arguments
        ---------
        seconds : float
            Duration of the utterance; of no effect where it is fixed.

        Returns
        -------
        int
            Multiply-accumulates of convolutions and matrix products.
        """
        samples = round(seconds * _SAMPLE_RATE)
        if self.layout.length is not None:
            samples = self.features.samples(self.layout.length)
        wavs = torch.zeros(self.layout.batch or 1, samples)
        wavs = wavs.to(next(self.buffers(), wavs).device)
        feats = self.layout.arrange(self.features(wavs))
        return self._count_macs(feats) // len(feats)

    def _count_macs(self, feats: torch.Tensor) -> int:
        """Counts those of a batch, as the model runs."""
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            self.run_model(feats)
        return counter.get_total_flops() // 2

    def _embed_equal(self, wavs: torch.Tensor) -> torch.Tensor:
        """Embeds equally long waveforms, in windows where need be."""
        fixed, own = self.layout.length, self.features.frames(wavs.shape[1])
        if fixed is None or own == fixed:
            return self._run(wavs)
        if not self.windows:
            raise ValueError(self._wrong_length(fixed, wavs.shape[1]))
        parts = _windows(wavs, self.features.samples(fixed))
        rows = self._run(parts.flatten(0, 1)).unflatten(0, parts.shape[:2])
        return torch.nn.functional.normalize(rows, dim=-1).mean(dim=1)

    def _run(self, wavs: torch.Tensor) -> torch.Tensor:
        """Embeds waveforms of a length that the model takes."""
        feats = self.layout.arrange(self.features(wavs))
        rows = []
        for piece in self.layout.pieces(feats):
            output = self.run_model(piece)
            wide = [size for size in output.shape[1:] if size != 1]
            if output.shape[:1] != piece.shape[:1] or len(wide) > 1:
                raise ValueError(
                    f"The output of {self.source} should be one embedding an "
                    f"utterance, [batch, dim]; for {len(piece)} utterances it "
                    f"is {list(output.shape)}: choose the embedding by name"
                )
            rows.append(output.reshape(len(piece), -1).float())
        return torch.cat(rows)[: len(wavs)]

    def _wrong_length(self, fixed: int, samples: int) -> str:
        """Says what length the model takes and how to give it."""
        unit = "samples" if self.frontend == "waveform" else "frames"
        wanted_s = self.features.samples(fixed) / _SAMPLE_RATE
        return (
            f"{self.layout.name} has a fixed {unit} axis of {fixed} "
            f"({wanted_s:g} s), it was asked for "
            f"{self.features.frames(samples)} ({samples / _SAMPLE_RATE:g} s): "
            f"train with `sentence_len: {wanted_s:g}`, set `windows: True` to "
            "average over windows of that length, or export the model with a "
            f"dynamic {unit} axis"
        )


def pick(answer: object, output: str | int | None, name: str) -> torch.Tensor:
    """Finds the embedding among what a model gives.

    Arguments
    ---------
    answer : object
        A tensor, a tuple or a mapping of them.
    output : str | int | None
        Place or name; None where there is a tensor alone.
    name : str
        The model, for messages.

    Returns
    -------
    torch.Tensor
        The embedding.

    Raises
    ------
    ValueError
        If there is no such output, or several to choose from.

    Example
    -------
    >>> pick((torch.zeros(1, 2), torch.ones(1, 3)), 1, "a model").shape
    torch.Size([1, 3])
    """
    chosen = answer
    several = isinstance(answer, tuple | list | Mapping)
    if output is not None and several:
        try:
            chosen = answer[output]
        except (KeyError, IndexError, TypeError):
            chosen = None
    elif isinstance(answer, tuple | list) and len(answer) == 1:
        chosen = answer[0]
    if torch.is_tensor(chosen) and (several or output is None):
        return chosen
    given = f"one {type(answer).__name__}"
    if isinstance(answer, Mapping):
        given = f"a mapping of {', '.join(map(str, answer))}"
    elif several:
        given = f"{len(answer)} outputs"
    raise ValueError(
        f"{name} gives {given}, where `output` is {output!r}: name the "
        "embedding by `output`, its place, or its name in a mapping"
    )


def _windows(wavs: torch.Tensor, length: int) -> torch.Tensor:
    """Cuts waveforms ``[batch, samples]`` into ``[batch, windows, length]``.

    As few windows as cover the whole, the first at its start and the last at
    its end; a shorter waveform is repeated instead.
    """
    samples = wavs.shape[1]
    if samples < length:
        return wavs.repeat(1, -(-length // samples))[:, None, :length]
    count = -(-samples // length)
    starts = torch.linspace(0, samples - length, count).round().long()
    return torch.stack([wavs[:, at : at + length] for at in starts], dim=1)
