"""Does an exported student give PyTorch's embeddings, at every length?

Of students with weights of chance, on speech of 0.3 to 60 s, alone and in
batches of 8. It takes long: half an hour of speech, four times for each.
"""

import random

import torch

from speechbrain_kd.bench.budget_student import make_student
from speechbrain_kd.bench.budgets import CALIBRATION, utterances_of
from speechbrain_kd.bench.common import Options, table
from speechbrain_kd.bench.students import fragments_of
from speechbrain_kd.data.audio import SAMPLE_RATE
from speechbrain_kd.evaluation.cost import one_thread
from speechbrain_kd.export.onnx_facts import LONGEST_S, SHORTEST_S, OnnxFacts
from speechbrain_kd.export.onnx_file import export_onnx
from speechbrain_kd.export.onnx_parity import check_onnx

#: Stretches of speech that each file is compared on.
STRETCHES = 200


def measure(options: Options) -> dict:
    """Exports the fragments of a folder, and compares.

    Arguments
    ---------
    options : Options
        ``students`` is the folder; ``data_folder`` gives the speech.

    Returns
    -------
    dict
        ``cosines``: the least of each student by name; ``stretches`` and
        ``seconds``: how much speech.

    Raises
    ------
    ValueError
        If a cosine is below 0.99999.
    """
    fragments = fragments_of(options)
    utterances = utterances_of(options)
    speech = stretches(utterances, STRETCHES)
    cosines = {}
    with one_thread():
        for fragment in fragments:
            encoder = make_student(fragment, utterances[:CALIBRATION])
            path = options.work / "budgets" / f"{fragment.stem}.onnx"
            export_onnx(path, encoder, OnnxFacts(fragment.stem))
            cosines[fragment.stem] = check_onnx(path, encoder, waveforms=speech)
    seconds = sum(map(len, speech)) / SAMPLE_RATE
    return {"cosines": cosines, "stretches": STRETCHES, "seconds": seconds}


def stretches(
    utterances: list[torch.Tensor], count: int, seed: int = 1986
) -> list[torch.Tensor]:
    """Speech of 0.3 to 60 s, short and long ones alike, the shortest first.

    Arguments
    ---------
    utterances : list[torch.Tensor]
        Each [samples]; what is too short is continued with the next.
    count : int
        How many.
    seed : int
        Of the lengths and beginnings.

    Returns
    -------
    list[torch.Tensor]
        Each [samples].

    Example
    -------
    >>> made = stretches([torch.ones(16000), torch.zeros(8000)], 5)
    >>> lengths = [len(one) / 16000 for one in made]
    >>> lengths == sorted(lengths), 0.3 <= lengths[0] < lengths[-1] <= 60
    (True, True)
    """
    draw = random.Random(seed)
    ratio = LONGEST_S / SHORTEST_S
    made = []
    for number in range(count):
        share = number / max(1, count - 1)
        samples = round(SHORTEST_S * ratio**share * SAMPLE_RATE)
        at, parts = draw.randrange(len(utterances)), []
        while sum(map(len, parts)) < samples:
            parts.append(utterances[at % len(utterances)])
            at += 1
        made.append(torch.cat(parts)[:samples])
    return made


def report(facts: dict) -> str:
    """The least cosines as Markdown."""
    rows = [(name, f"{one:.7f}") for name, one in facts["cosines"].items()]
    return table(("student", "least cosine with PyTorch"), rows)
