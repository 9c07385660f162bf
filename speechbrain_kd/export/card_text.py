"""The fixed texts, the usage and the results table of the model card."""

from collections.abc import Mapping, Sequence

from speechbrain_kd.markdown import table

TAGS = (
    "speechbrain",
    "speaker-verification",
    "speaker-recognition",
    "embeddings",
    "pytorch",
)

LIMITS = (
    "Not tested on attacks (replayed, synthetic or converted speech): it is "
    "no security barrier on its own.",
    "Error rates hold for the speech that they were measured on; expect more "
    "errors on other channels, languages, ages or very short utterances.",
)

CITATION = """\
```bibtex
@inproceedings{wang2019knowledge,
  title     = {Knowledge Distillation for Small Foot-print Deep Speaker
               Embedding},
  author    = {Wang, Shuai and Yang, Yexin and Wang, Tianzhe and Qian, Yanmin
               and Yu, Kai},
  booktitle = {ICASSP},
  year      = {2019},
  doi       = {10.1109/ICASSP.2019.8683443}
}
@misc{speechbrain,
  title  = {{SpeechBrain}: A General-Purpose Speech Toolkit},
  author = {Mirco Ravanelli and Titouan Parcollet and others},
  year   = {2021},
  note   = {arXiv:2106.04624}
}
```"""

UNMEASURED = "not measured"

#: By key of a result: heading, format and what it is multiplied by.
COSTS = {
    "params": ("parameters", "{:,.0f}", 1),
    "gmac": ("GMAC", "{:.3f}", 1),
    "bytes": ("kB", "{:,.0f}", 1e-3),
    "ms_per_second": ("ms per s of speech", "{:.2f}", 1),
}
RATES = {
    "eer": ("EER %", "{:.2f}", 100),
    "min_dcf": ("minDCF (0.01)", "{:.3f}", 1),
}


def usage(threshold: float | None, packages: Sequence[str] = ()) -> str:
    """How the model is used, in Python.

    Arguments
    ---------
    threshold : float | None
        The calibrated threshold; None if there is none.
    packages : Sequence[str]
        Packages that are needed beside SpeechBrain.

    Returns
    -------
    str
        Markdown.
    """
    needs = "Needs SpeechBrain alone (`pip install speechbrain`):"
    if packages:
        names = ", ".join(f"`{name}`" for name in packages)
        needs = (
            f"Needs SpeechBrain and the package {names}, whose classes it is "
            "made of:"
        )
    limit = "0.25" if threshold is None else "verifier.hparams.threshold"
    return f"""\
{needs}

```python
from speechbrain.inference.speaker import SpeakerRecognition
verifier = SpeakerRecognition.from_hparams(source="FOLDER")  # or a hub id
score, _ = verifier.verify_files("enrol.wav", "test.wav")
same_speaker = score > {limit}
embedding = verifier.encode_batch(verifier.load_audio("test.wav"))
```

Waveforms at hand: `verifier.verify_batch(one, other, threshold={limit})`."""


def results_table(
    results: Mapping[str, Mapping[str, float | str | None]],
) -> str:
    """The results as a Markdown table, a system a row.

    Arguments
    ---------
    results : Mapping[str, Mapping[str, float | None]]
        As ``ModelCard.results``.

    Returns
    -------
    str
        Markdown. A value that is missing or None is "not measured"; what each
        has met of the test speakers is told where ``seen`` says so.

    Example
    -------
    >>> print(results_table({"student": {"eer": 0.0512}}).splitlines()[-1])
    | student | not measured | ... | 5.12 | not measured |
    """
    columns = COSTS | RATES
    heads = ["system", *(head for head, _, _ in columns.values())]
    told_of = any(values.get("seen") for values in results.values())
    heads += ["test speakers met before"] if told_of else []
    rows = []
    for system, values in results.items():
        row = [system]
        for key, (_, form, scale) in columns.items():
            row.append(figure(values.get(key), form, scale))
        rows.append(
            row + ([values.get("seen") or "not known"] if told_of else [])
        )
    return table(heads, rows)


def figure(value: float | None, form: str, scale: float) -> str:
    """A figure as it stands in a card, or that there is none.

    Arguments
    ---------
    value : float | None
        What was measured.
    form : str
        Its format.
    scale : float
        What it is multiplied by first.

    Returns
    -------
    str
        Text.

    Example
    -------
    >>> figure(0.0512, "{:.2f}", 100), figure(None, "{:.2f}", 100)
    ('5.12', 'not measured')
    """
    return UNMEASURED if value is None else form.format(scale * value)
