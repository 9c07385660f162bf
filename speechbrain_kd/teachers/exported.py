"""A teacher from a program of ``torch.export``."""

from collections.abc import Sequence

import torch

from speechbrain_kd.teachers.foreign_teacher import ForeignTeacher, pick
from speechbrain_kd.teachers.frontend import FrontEnd
from speechbrain_kd.teachers.layout import read_layout
from speechbrain_kd.teachers.loading import sha256 as digest_of
from speechbrain_kd.teachers.obtain import obtain
from speechbrain_kd.teachers.program import read_program


class ExportedTeacher(ForeignTeacher):
    """A speaker model saved by ``torch.export.save`` (``.pt2``): features
    ``[batch, frames, n_mels]`` or ``[batch, n_mels, frames]``, or waveforms
    ``[batch, samples]``, to ``[batch, dim]``. It has no classes.

    The file is refused if loading or running it could do more than compute;
    see :mod:`~speechbrain_kd.teachers.program`.

    Arguments
    ---------
    source : str
        The ``.pt2`` file; or, with ``file``, a folder or a hub id.
    n_mels, frontend, waveform_scale, mean_norm, dither, window
        The model's features: see
        :class:`~speechbrain_kd.teachers.frontend.FrontEnd`.
    mels_first : bool | None
        Whether the model takes ``[batch, n_mels, frames]``; None to find it
        by the axis that is fixed to ``n_mels``.
    windows : bool
        Whether a model of a fixed length hears utterances of other lengths
        in windows; see
        :class:`~speechbrain_kd.teachers.foreign_teacher.ForeignTeacher`.
    output : str | int | None
        Which output is the embedding, where there are several.
    trained_on : Sequence[str]
        Names of the corpora that the teacher has seen.
    file, revision, savedir, sha256
        As of :class:`~speechbrain_kd.teachers.OnnxTeacher`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is refused, or its input or output cannot serve.

    Example
    -------
    >>> ExportedTeacher("no_such.pt2")
    Traceback (most recent call last):
    ...
    FileNotFoundError: There is no model file no_such.pt2: ...
    """

    def __init__(
        self,
        source: str,
        n_mels: int = 80,
        frontend: str = "kaldi",
        waveform_scale: float = 1.0,
        mean_norm: bool = True,
        dither: float = 0.0,
        window: str = "povey",
        mels_first: bool | None = None,
        windows: bool = False,
        output: str | int | None = None,
        trained_on: Sequence[str] = (),
        file: str | None = None,
        revision: str | None = None,
        savedir: str | None = None,
        sha256: str | None = None,
    ) -> None:
        features = FrontEnd(
            frontend, n_mels, waveform_scale, mean_norm, dither, window
        )
        found = obtain(source, file, revision, savedir, sha256)
        super().__init__(found.name, features, windows, trained_on)
        self.digests = {found.path.name: digest_of(found.path)}
        self.revision = found.files.revision_found
        self.output = output
        # Apart from the modules: a program has no train() or eval().
        self._program = _Program(read_program(found.path))
        name, shape = self._program.input(self.source)
        self.layout = read_layout(shape, self.n_mels, name, mels_first)
        self.prepare()

    def run_model(self, feats: torch.Tensor) -> torch.Tensor:
        """Runs the program, on the device of the features."""
        try:
            answer = self._program.on(feats.device)(feats)
        except torch.OutOfMemoryError:
            raise
        except (AssertionError, RuntimeError, TypeError) as error:
            raise ValueError(
                f"{self.source} cannot be run on {list(feats.shape)}: it was "
                f"exported for other lengths or batches ({error})"
            ) from error
        return pick(answer, self.output, self.source)

    def count_parameters(self) -> int:
        """Counts the program's parameters.

        Returns
        -------
        int
            Numbers.
        """
        return sum(one.numel() for one in self._program.parameters())


class _Program:
    """A program, and the module of it on the device that it was last run."""

    def __init__(self, program: "torch.export.ExportedProgram") -> None:
        self.program = program
        self.module: torch.nn.Module | None = None
        self.device = torch.device("cpu")

    def input(self, source: str) -> tuple[str, list[int | None]]:
        """Names the one input, and gives its shape."""
        names = self.program.graph_signature.user_inputs
        nodes = [
            node
            for node in self.program.graph.find_nodes(op="placeholder")
            if node.name in names
        ]
        if len(nodes) != 1:
            raise ValueError(
                f"{source} takes the inputs {', '.join(map(str, names))}: a "
                "teacher gives one, its features or waveforms"
            )
        shape = nodes[0].meta["val"].shape
        sizes = [size if isinstance(size, int) else None for size in shape]
        return f"The input {nodes[0].name} of {source}", sizes

    def parameters(self) -> list[torch.Tensor]:
        """Lists the parameters."""
        state = self.program.state_dict
        return [state[name] for name in self.program.graph_signature.parameters]

    def on(self, device: torch.device) -> torch.nn.Module:
        """Gives the module, moved with the devices that its graph names."""
        # Here, as it takes longer to import than most of this package.
        from torch.export.passes import move_to_device_pass

        if self.module is None or self.device != device:
            if device != self.device:
                self.program = move_to_device_pass(self.program, device)
            self.module, self.device = self.program.module(), device
        return self.module
