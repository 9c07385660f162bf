"""A teacher from an ONNX speaker model, with its own features."""

from collections.abc import Sequence
from pathlib import Path

import torch
from speechbrain.lobes.features import Fbank

from speechbrain_kd.teachers.base import Teacher
from speechbrain_kd.teachers.kaldi import KaldiFbank
from speechbrain_kd.teachers.onnx_model import (
    check_shape,
    choose,
    digests,
    session,
)

FRONTENDS = ("kaldi", "speechbrain", "waveform")


class OnnxTeacher(Teacher):
    """A speaker model that onnxruntime runs: ``[batch, frames, n_mels]`` (or
    ``[batch, samples]``) to ``[batch, dim]``. It has no classes.

    Utterances of unequal length are cut to their own and run in groups of
    equal length, so that padding cannot change an embedding.

    Arguments
    ---------
    source : str
        The ``.onnx`` file.
    n_mels : int
        Mel bins of its features.
    frontend : str
        ``"kaldi"`` (as ``torchaudio.compliance.kaldi.fbank``),
        ``"speechbrain"`` (``speechbrain.lobes.features.Fbank``), or
        ``"waveform"`` for a model that holds its own features.
    waveform_scale : float
        What the model's waveforms are multiplied by: 1 for [-1, 1], 32768
        where it was trained on 16-bit integers (as WeSpeaker's are).
    mean_norm : bool
        Whether to subtract from features their mean over the utterance.
    dither : float
        Kaldi's dither; 0 keeps embeddings deterministic.
    input_name, output_name : str | None
        Which input and output to use where the model has several.
    num_threads : int | None
        Threads of onnxruntime; by default as many as torch has.
    provider : str
        ``"auto"``: CUDA where this onnxruntime has it, else the CPU; or the
        name of an execution provider of onnxruntime.
    trained_on : Sequence[str]
        Names of the corpora that the teacher has seen.

    Raises
    ------
    ImportError
        If onnxruntime or onnx is not installed.
    FileNotFoundError
        If there is no such file.
    ValueError
        If the model's inputs or outputs cannot serve, or its weights lie
        outside its folder.

    Example
    -------
    >>> OnnxTeacher("no_such.onnx")
    Traceback (most recent call last):
    ...
    FileNotFoundError: There is no ONNX model no_such.onnx: ...
    """

    def __init__(
        self,
        source: str,
        n_mels: int = 80,
        frontend: str = "kaldi",
        waveform_scale: float = 1.0,
        mean_norm: bool = True,
        dither: float = 0.0,
        input_name: str | None = None,
        output_name: str | None = None,
        num_threads: int | None = None,
        provider: str = "auto",
        trained_on: Sequence[str] = (),
    ) -> None:
        super().__init__(source, trained_on=trained_on)
        self.frontend = frontend
        self.n_mels = n_mels
        self.waveform_scale = float(waveform_scale)
        self.mean_norm = mean_norm and frontend != "waveform"
        self.dither = float(dither)
        self.compute_features = _features(frontend, n_mels, dither)
        path = Path(source)
        self.digests = digests(path)
        self.session = session(path, num_threads, provider)
        inputs, outputs = self.session.get_inputs(), self.session.get_outputs()
        self.input = choose(inputs, input_name, path, "input")
        self.input_name = self.input.name
        self.output_name = choose(outputs, output_name, path, "output").name
        check_shape(self.input, None if frontend == "waveform" else n_mels)
        self.freeze()
        self.embedding_dim = self._dry_run()

    def encode(self, wavs: torch.Tensor, lens: torch.Tensor) -> torch.Tensor:
        """Embeds a batch, each utterance at its own length."""
        samples = (lens * wavs.shape[1]).round().long().tolist()
        embeddings: list[torch.Tensor | None] = [None] * len(samples)
        for length in sorted(set(samples)):
            rows = [row for row, own in enumerate(samples) if own == length]
            for row, embedding in zip(
                rows, self._run(wavs[rows, :length]), strict=True
            ):
                embeddings[row] = embedding
        return torch.stack(embeddings)

    def _run(self, wavs: torch.Tensor) -> torch.Tensor:
        """Embeds equally long waveforms."""
        feats = self.compute_features(wavs * self.waveform_scale)
        if self.mean_norm:
            feats = feats - feats.mean(dim=1, keepdim=True)
        feed = {self.input.name: feats.cpu().contiguous().numpy()}
        output = self.session.run([self.output_name], feed)[0]
        embeddings = torch.from_numpy(output).to(wavs.device)
        return embeddings.reshape(len(wavs), -1)

    def _dry_run(self) -> int:
        """Finds the embedding's size; raises where it depends on length."""
        noise = torch.Generator().manual_seed(0)
        sizes = []
        for samples in (16000, 24000):
            wavs = 0.1 * torch.randn(2, samples, generator=noise)
            sizes.append(self.embed(wavs).shape[1])
        if sizes[0] != sizes[1]:
            raise ValueError(
                f"The output {self.output_name} of {self.source} grows with "
                f"the utterance ({sizes[0]} values for 1 s, {sizes[1]} for "
                "1.5 s): name the embedding by `output_name`"
            )
        return sizes[0]


def _features(frontend: str, n_mels: int, dither: float) -> torch.nn.Module:
    """Builds the front end that is named."""
    if frontend == "kaldi":
        return KaldiFbank(n_mels, dither)
    if frontend == "speechbrain":
        return Fbank(n_mels=n_mels)
    if frontend == "waveform":
        return torch.nn.Identity()
    raise ValueError(
        f"The frontend of an ONNX teacher is one of {', '.join(FRONTENDS)}; "
        f"got {frontend!r}"
    )
