"""What modules inside a network give, caught by forward hooks."""

import difflib
from collections.abc import Callable, Iterable
from functools import partial

import torch

from speechbrain_kd.losses.hidden import Place

#: Samples of the two dry runs that show which axis is time: 1 and 2 s.
_PROBE = (16000, 32000)
_NEAR = 4


class Taps:
    """Forward hooks on modules that are named by their paths.

    The network is not edited: hooks only note what the modules give. They
    are set by ``attach`` and taken away by ``detach``.

    Arguments
    ---------
    paths : Iterable[str]
        Of modules, as ``named_modules`` has them.
    owner : str
        Whose modules they are, for messages.
    with_grad : bool
        Whether to note only passes that carry a gradient, so that
        validation leaves nothing behind.

    Example
    -------
    >>> model = torch.nn.Sequential(torch.nn.Linear(8, 3), torch.nn.ReLU())
    >>> taps = Taps(["0"], "the student", with_grad=True)
    >>> taps.survey(model, lambda wavs: model(wavs[:, :32].reshape(2, 4, 8)))
    {'0': Place(path='0', width=12, time_axis=None)}
    >>> with taps.attach(model):
    ...     out = model(torch.ones(2, 4, 8))
    >>> torch.equal(taps.take()["0"].relu().reshape(2, 4, 3), out)
    True
    """

    def __init__(
        self, paths: Iterable[str], owner: str, with_grad: bool = False
    ) -> None:
        self.paths = sorted(set(paths))
        self.owner = owner
        self.with_grad = with_grad
        self.places: dict[str, Place] = {}
        self._handles: list[torch.utils.hooks.RemovableHandle] = []
        # By path: the newest output, its version then, and the runs so far.
        self._outputs: dict[str, tuple[torch.Tensor, int, int]] = {}

    def attach(self, model: torch.nn.Module) -> "Taps":
        """Sets the hooks; those that were set before are taken away.

        Arguments
        ---------
        model : torch.nn.Module
            May be wrapped by DDP.

        Returns
        -------
        Taps
            This one, which as a context detaches itself at the end.

        Raises
        ------
        ValueError
            If there is no such module, or hooks on it would not run.
        """
        self.detach()
        model = self._unwrapped(model)
        for path in self.paths:
            module = self._find(model, path)
            hook = partial(self._note, path)
            self._handles.append(module.register_forward_hook(hook))
        return self

    def detach(self) -> None:
        """Takes the hooks away, and forgets what they noted."""
        for handle in self._handles:
            handle.remove()
        self._handles = []
        self._outputs = {}

    def __enter__(self) -> "Taps":
        return self

    def __exit__(self, *given: object) -> None:
        outputs = self._outputs
        self.detach()
        self._outputs = outputs

    def survey(
        self,
        model: torch.nn.Module,
        embed: Callable[[torch.Tensor], torch.Tensor],
    ) -> dict[str, Place]:
        """Finds which axis is time, by dry runs on 1 and on 2 s of silence.

        Arguments
        ---------
        model : torch.nn.Module
            With the modules that are named, in eval mode.
        embed : Callable
            Runs it on waveforms [batch, samples].

        Returns
        -------
        dict[str, Place]
            By path; also kept for ``take``.

        Raises
        ------
        ValueError
            If a module does not give one tensor an utterance.
        """
        like = next(model.parameters(), torch.zeros(()))
        noted, self.with_grad = self.with_grad, False
        try:
            with torch.no_grad(), self.attach(model):
                runs = []
                for samples in _PROBE:
                    self._outputs = {}
                    embed(torch.zeros(2, samples, device=like.device))
                    runs.append({p: self._only(p) for p in self.paths})
        finally:
            self.with_grad = noted
            self.detach()
        self.places = {
            path: self._place(path, *(run[path].shape for run in runs))
            for path in self.paths
        }
        return self.places

    def take(self) -> dict[str, torch.Tensor]:
        """What the modules gave in the last pass.

        Returns
        -------
        dict[str, torch.Tensor]
            [batch, frames, width] by path; forgotten here.

        Raises
        ------
        ValueError
            If a module was not run.
        """
        outputs = {path: self._last(path)[0] for path in self.paths}
        self._outputs = {}
        return {
            path: self.places[path].arrange(output)
            for path, output in outputs.items()
        }

    def _note(self, path, module, given, output):
        """The hook itself."""
        if torch.is_grad_enabled() or not self.with_grad:
            version = getattr(output, "_version", 0)
            runs = self._outputs.get(path, (None, 0, 0))[2] + 1
            self._outputs[path] = output, version, runs

    def _last(self, path):
        """What is known of a module's last pass."""
        if path not in self._outputs:
            raise ValueError(
                f"{self.owner} did not run its module {path}: name one that "
                "takes part in every pass"
            )
        return self._outputs[path]

    def _only(self, path):
        """An output of the dry run, if it is one that can be compared."""
        output, version, runs = self._last(path)
        whole = torch.is_tensor(output) and output.ndim > 1 and len(output) == 2
        problem = None
        if not whole:
            problem = "does not give one tensor [batch, …]"
        elif runs > 1:
            problem = f"runs {runs} times in a pass"
        elif output._version != version:
            problem = "gives what a later module changes in place"
        if problem is None:
            return output
        raise ValueError(
            f"The module {path} of {self.owner} {problem}, and cannot be "
            "compared: name another, such as the block that it stands in"
        )

    def _place(self, path, short, long):
        """What a module gives, by the shapes of two dry runs."""
        changed = [
            axis
            for axis, sizes in enumerate(zip(short, long, strict=True))
            if sizes[0] != sizes[1]
        ]
        if len(changed) > 1:
            raise ValueError(
                f"The module {path} of {self.owner} gives {list(short)} for "
                f"1 s and {list(long)} for 2 s: expected at most one axis "
                "that follows the length"
            )
        time_axis = changed[0] if changed else None
        width = 1
        for axis, size in enumerate(short):
            width *= 1 if axis in (0, time_axis) else size
        return Place(path, width, time_axis)

    def _unwrapped(self, model):
        """Below DDP; refuses what is compiled, where hooks do not run."""
        if isinstance(model, torch.nn.parallel.DistributedDataParallel):
            model = model.module
        if isinstance(model, torch.jit.ScriptModule) or hasattr(
            model, "_orig_mod"
        ):
            raise ValueError(
                f"{self.owner} is compiled, and terms on hidden layers need "
                "hooks, which then do not run: train without --jit and "
                "--compile, or without these terms"
            )
        return model

    def _find(self, model, path):
        """A module by its path, or the nearest paths in the message."""
        modules = dict(model.named_modules())
        if path and path in modules:
            return modules[path]
        raise ValueError(
            f"{self.owner} has no module {path!r}: expected the whole path of "
            "one module, without patterns; near it are "
            f"{', '.join(_near(path, [name for name in modules if name]))}"
        )


def _near(path, names):
    """Names like a path: first those that end as it does."""
    last = path.rpartition(".")[2]
    same = [name for name in names if name.rpartition(".")[2] == last]
    if last.isdigit():
        same = []
    close = difflib.get_close_matches
    found = close(path, same, _NEAR, cutoff=0.0) + close(path, names, _NEAR)
    return list(dict.fromkeys(found or names))[:_NEAR] or ["none"]
