"""A teacher from an ONNX speaker model, with its own features."""

from collections.abc import Sequence

import torch
from speechbrain.utils.fetching import FetchFrom

from speechbrain_kd.teachers.foreign_teacher import ForeignTeacher
from speechbrain_kd.teachers.frontend import FrontEnd
from speechbrain_kd.teachers.layout import read_layout
from speechbrain_kd.teachers.obtain import Obtained, obtain
from speechbrain_kd.teachers.onnx_cost import count_macs, count_parameters
from speechbrain_kd.teachers.onnx_model import (
    choose,
    digests,
    read_model,
    session,
)

_DTYPES = {
    "tensor(float)": torch.float32,
    "tensor(float16)": torch.float16,
    "tensor(double)": torch.float64,
    "tensor(int32)": torch.int32,
    "tensor(int64)": torch.int64,
}


class OnnxTeacher(ForeignTeacher):
    """A speaker model that onnxruntime runs: features ``[batch, frames,
    n_mels]`` or ``[batch, n_mels, frames]``, or waveforms ``[batch, samples]``,
    to ``[batch, dim]``. It has no classes; see ``PrototypeTeacher``.

    Input and output are found by themselves where there is one of each; a
    further input of one axis is the utterances' lengths, in frames where it
    takes integers, else relative. A fixed batch is run in pieces; a fixed
    number of frames is refused where it does not agree with what is asked.

    Arguments
    ---------
    source : str
        The ``.onnx`` file; or, with ``file``, a folder or a hub id.
    n_mels, frontend, waveform_scale, mean_norm, dither, window
        The model's features: see
        :class:`~speechbrain_kd.teachers.frontend.FrontEnd`.
    input_name, output_name : str | None
        Which input and output to use where the model has several.
    num_threads : int | None
        Threads of onnxruntime; by default as many as torch has.
    provider : str
        ``"auto"``: CUDA where this onnxruntime has it, else the CPU; or the
        name of an execution provider of onnxruntime.
    trained_on : Sequence[str]
        Names of the corpora that the teacher has seen.
    file : str | None
        Name of the file in the folder or on the hub.
    revision, savedir : str | None
        Branch, tag or commit on the hub, and where downloads are kept.
    sha256 : str | None
        The SHA-256 that the file must have.
    mels_first : bool | None
        Whether the model takes ``[batch, n_mels, frames]``; None to find it
        by the axis that is fixed to ``n_mels``.
    windows : bool
        Whether a model of a fixed length hears utterances of other lengths
        in windows; see
        :class:`~speechbrain_kd.teachers.foreign_teacher.ForeignTeacher`.

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
        file: str | None = None,
        revision: str | None = None,
        savedir: str | None = None,
        sha256: str | None = None,
        window: str = "povey",
        mels_first: bool | None = None,
        windows: bool = False,
    ) -> None:
        features = FrontEnd(
            frontend, n_mels, waveform_scale, mean_norm, dither, window
        )
        found = obtain(source, file, revision, savedir, sha256, "ONNX model")
        _fetch_weights(found)
        super().__init__(found.name, features, windows, trained_on)
        self.digests = digests(found.path)
        self.revision = found.files.revision_found
        self._path = found.path
        self.session = session(found.path, num_threads, provider)
        self._read_inputs(input_name, mels_first)
        outputs = self.session.get_outputs()
        self.output_name = choose(
            outputs, output_name, found.path, "output"
        ).name
        self.prepare()

    def _read_inputs(self, name: str | None, mels_first: bool | None) -> None:
        """Tells the features from the lengths, and finds their axes."""
        inputs = self.session.get_inputs()
        lengths = [
            node
            for node in inputs
            if len(node.shape) == 1 and node.name != name
        ]
        self._lengths = lengths[0] if len(lengths) == 1 < len(inputs) else None
        others = [node for node in inputs if node is not self._lengths]
        self.input = choose(others, name, self._path, "input")
        if len(others) > 1:
            spare = [node.name for node in others if node is not self.input]
            raise ValueError(
                f"{self.source} needs the inputs {', '.join(spare)} beside "
                f"{self.input.name}: a teacher gives one input, and lengths "
                "of one axis"
            )
        self.input_name = self.input.name
        for node in (self.input, self._lengths):
            if node is not None and node.type not in _DTYPES:
                raise ValueError(
                    f"The input {node.name} of {self.source} should take one "
                    f"of {', '.join(_DTYPES)}; it takes {node.type}"
                )
        title = f"The input {self.input.name} of {self.source}"
        shape = self.input.shape
        self.layout = read_layout(shape, self.n_mels, title, mels_first)

    def run_model(self, feats: torch.Tensor) -> torch.Tensor:
        """Runs the session on the features."""
        try:
            output = self.session.run([self.output_name], self._feed(feats))[0]
        except Exception as error:  # onnxruntime's have no common base
            raise ValueError(
                f"{self.source} cannot be run on {self.input_name} "
                f"{list(feats.shape)}: {error}"
            ) from error
        return torch.from_numpy(output).to(feats.device)

    def _feed(self, feats: torch.Tensor) -> dict[str, object]:
        """Gives all inputs, as the session takes them."""
        feed = {self.input_name: _as(feats, self.input.type)}
        if self._lengths is not None:
            relative = _DTYPES[self._lengths.type].is_floating_point
            first = self.layout.mels_first or self.layout.channel
            frames = 1 if relative else feats.shape[2 if first else 1]
            lengths = torch.full((len(feats),), frames)
            feed[self._lengths.name] = _as(lengths, self._lengths.type)
        return feed

    def count_parameters(self) -> int:
        """Counts the weights in the file.

        Returns
        -------
        int
            Numbers.
        """
        return count_parameters(self._path)

    def _count_macs(self, feats: torch.Tensor) -> int:
        """Counts those of a batch, by the graph's nodes."""
        return count_macs(self._path, self._feed(feats))


def _fetch_weights(found: Obtained) -> None:
    """Gets from the hub the files that a model's weights lie in."""
    if found.files.kind is FetchFrom.LOCAL:
        return
    for tensor in read_model(found.path).graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                found.files.fetch(entry.value)


def _as(values: torch.Tensor, kind: str) -> object:
    """Gives an array of the kind that an input takes."""
    return values.cpu().to(_DTYPES[kind]).contiguous().numpy()
