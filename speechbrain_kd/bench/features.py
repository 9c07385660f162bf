"""SpeechBrain's features against ours, on crops of real utterances."""

import torch
from speechbrain.lobes.features import Fbank
from speechbrain.processing.features import InputNormalization

from speechbrain_kd.bench.common import Options, table
from speechbrain_kd.bench.corpus import CROP_S, real_crops
from speechbrain_kd.bench.student_step import MELS, student_step
from speechbrain_kd.bench.turns import best_of_each
from speechbrain_kd.speed.features import FastFeatures

#: More than this and the features are others.
LIMIT = 1e-4

_BATCHES = 8
_REPEATS = 15


def measure(options: Options) -> dict:
    """Times both on a batch, and compares what they give.

    Arguments
    ---------
    options : Options
        ``data_folder``, ``batch_size``, ``device``, ``student``.

    Returns
    -------
    dict
        ``ms``: of each an utterance, and of the student's forward and
        backward pass; ``ratio``; ``share`` of each in features and pass
        together; ``largest_difference`` on all crops.
    """
    crops = real_crops(options, _BATCHES * options.batch_size)
    batches = crops.to(options.device).split(options.batch_size)
    theirs, ours = feature_functions(options.device)
    functions = {
        "speechbrain": lambda: theirs(batches[0]),
        "speechbrain_kd": lambda: ours(batches[0]),
        "step": student_step(options, ours(batches[0])),
    }
    seconds = best_of_each(functions, options.device, _REPEATS)
    ms = {name: 1e3 * s / options.batch_size for name, s in seconds.items()}
    largest = max(
        float((theirs(batch) - ours(batch)).abs().max()) for batch in batches
    )
    return {
        "student": options.student,
        "batch_size": options.batch_size,
        "crop_s": CROP_S,
        "crops_compared": len(crops),
        "ms": ms,
        "ratio": ms["speechbrain"] / ms["speechbrain_kd"],
        "share": {
            name: ms[name] / (ms[name] + ms["step"])
            for name in ("speechbrain", "speechbrain_kd")
        },
        "largest_difference": largest,
        "equal": largest < LIMIT,
    }


def feature_functions(device: str) -> tuple:
    """SpeechBrain's features and ours, of waveforms [batch, samples]."""
    fbank = Fbank(n_mels=MELS).to(device)
    norm = InputNormalization(norm_type="sentence", std_norm=False).to(device)
    ours = FastFeatures(fbank, norm).to(device)

    def theirs(wavs):
        return norm(fbank(wavs), torch.ones(len(wavs), device=device))

    return theirs, ours


def report(facts: dict) -> str:
    """Both as Markdown, and how far apart they are."""
    names = {"speechbrain": "SpeechBrain", "speechbrain_kd": "speechbrain_kd"}
    rows = [
        (
            name,
            facts["ms"][key],
            facts["ms"]["speechbrain"] / facts["ms"][key],
            f"{facts['share'][key]:.1%}",
        )
        for key, name in names.items()
    ]
    header = ("features", "ms an utterance", "times as fast", "share of step")
    same = "as they must be" if facts["equal"] else "TOO MUCH"
    return (
        table(header, rows)
        + f"\nBatches of {facts['batch_size']} x {facts['crop_s']} s. The "
        f"step is features, forward and backward of {facts['student']}: "
        f"{facts['ms']['step']:.3g} ms an utterance without features. Largest "
        f"difference on {facts['crops_compared']} real crops: "
        f"{facts['largest_difference']:.1e}, {same} (limit {LIMIT:.0e}).\n"
    )
