"""Is what was written the model that was trained?"""

import copy
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from speechbrain.inference.speaker import SpeakerRecognition

logger = logging.getLogger(__name__)

_REMEDY = (
    "Export with the yaml that the modules were built from (the run folder's "
    "hyperparams.yaml)."
)


def check_parity(
    folder: str | Path,
    modules: Mapping[str, torch.nn.Module],
    labels: Sequence[str] | None = None,
    waveforms: Sequence[torch.Tensor] = (),
    tolerance: float = 1e-5,
) -> float:
    """Loads an exported folder and compares it with the modules in memory.

    Both run on the CPU in fp32, on two stretches of noise of different
    lengths and on the given waveforms.

    Arguments
    ---------
    folder : str | Path
        An exported SpeechBrain folder.
    modules : Mapping[str, torch.nn.Module]
        ``compute_features``, ``mean_var_norm``, ``embedding_model`` and, where
        it was exported, ``classifier``. They are copied, not changed.
    labels : Sequence[str] | None
        Class names in index order; with a classifier.
    waveforms : Sequence[torch.Tensor]
        Speech, each [samples].
    tolerance : float
        Largest difference allowed in a component of the unit-norm embedding,
        and in a class score relative to the largest score (or 1).

    Returns
    -------
    float
        The largest difference of unit-norm embeddings found.

    Raises
    ------
    ValueError
        If the folder does not load or gives other numbers or labels.
    """
    exported = _load(folder)
    ours = {
        name: copy.deepcopy(module).to("cpu").eval()
        for name, module in modules.items()
    }
    if "classifier" in ours:
        _check_labels(exported, labels)
    worst = 0.0
    for wav in [*_noise(), *waveforms]:
        wav = wav.detach().to("cpu", torch.float32).reshape(1, -1)
        worst = max(worst, _embedding_gap(exported, ours, wav, tolerance))
        if "classifier" in ours:
            _check_scores(exported, ours, wav, labels, tolerance)
    logger.info("%s: embeddings agree to %.1e", folder, worst)
    return worst


def _load(folder: str | Path) -> SpeakerRecognition:
    """Loads the folder as its user will, on the CPU."""
    try:
        # Building modules draws random numbers: a training goes on unchanged.
        with torch.random.fork_rng(devices=[]):
            return SpeakerRecognition.from_hparams(
                source=str(folder), run_opts={"device": "cpu"}
            )
    except (RuntimeError, TypeError, ImportError) as error:
        raise ValueError(
            "the exported model does not load: the yaml and the modules do "
            f"not belong together. {_REMEDY} ({error})"
        ) from error


def _noise() -> list[torch.Tensor]:
    """Two stretches of noise, the same in every run."""
    generator = torch.Generator().manual_seed(1986)
    return [
        0.1 * torch.randn(samples, generator=generator)
        for samples in (16000, 37921)
    ]


@torch.no_grad()
def _seeded(
    function: Callable[[torch.Tensor], torch.Tensor], value: torch.Tensor
) -> torch.Tensor:
    """Calls a function at a fixed state of torch's random numbers.

    SpeechBrain's StatisticsPooling (x-vectors) adds a little noise, also in
    evaluation; the global state is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return function(value)


def _embed(
    modules: Mapping[str, torch.nn.Module], wav: torch.Tensor
) -> torch.Tensor:
    """The modules' embedding of one waveform: [1, 1, dim]."""
    lens = torch.ones(1)
    feats = modules["mean_var_norm"](modules["compute_features"](wav), lens)
    return modules["embedding_model"](feats, lens)


def _embedding_gap(
    exported: SpeakerRecognition,
    ours: Mapping[str, torch.nn.Module],
    wav: torch.Tensor,
    tolerance: float,
) -> float:
    """Largest difference of the unit-norm embeddings, which must be small."""
    expected = _seeded(lambda wav: _embed(ours, wav), wav).flatten()
    came = _seeded(exported.encode_batch, wav).flatten()
    if expected.shape != came.shape:
        raise ValueError(
            f"the exported model gives embeddings of {came.numel()} "
            f"components, the trained one of {expected.numel()}. {_REMEDY}"
        )
    unit = torch.nn.functional.normalize
    gap = float((unit(expected, dim=0) - unit(came, dim=0)).abs().max())
    # Written so that a NaN fails.
    if not gap <= tolerance:
        raise ValueError(
            f"the exported model's embedding differs by {gap:.1e} from the "
            f"trained model's; expected at most {tolerance:.0e}. {_REMEDY}"
        )
    return gap


def _check_labels(
    exported: SpeakerRecognition, labels: Sequence[str] | None
) -> None:
    """The label encoder must give back the labels, in their order."""
    names = exported.hparams.label_encoder.ind2lab
    came = [names[index] for index in sorted(names)]
    if came != list(labels or ()):
        raise ValueError(
            "label_encoder.txt does not give the class labels back: expected "
            f"{list(labels or ())[:3]} ..., came {came[:3]} ..."
        )


def _check_scores(
    exported: SpeakerRecognition,
    ours: Mapping[str, torch.nn.Module],
    wav: torch.Tensor,
    labels: Sequence[str] | None,
    tolerance: float,
) -> None:
    """The classifier must give the same scores, one for each label."""
    embedding = _seeded(exported.encode_batch, wav)
    expected = _seeded(ours["classifier"], embedding).flatten()
    came = _seeded(exported.mods.classifier, embedding).flatten()
    if not expected.numel() == came.numel() == len(labels or ()):
        raise ValueError(
            f"the classifier has {expected.numel()} classes and, exported, "
            f"{came.numel()}; there are {len(labels or ())} labels"
        )
    allowed = tolerance * max(1.0, float(expected.abs().max()))
    gap = float((expected - came).abs().max())
    if not gap <= allowed:
        raise ValueError(
            f"the exported classifier's scores differ by {gap:.1e} from the "
            f"trained one's; expected at most {allowed:.0e}. {_REMEDY}"
        )
