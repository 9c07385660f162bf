"""``speechbrain-kd verify``: are two WAV files of one speaker?

speechbrain-kd verify student.onnx one.wav other.wav
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from speechbrain_kd.errors import EXPECTED
from speechbrain_kd.runtime.enrolment import Enrolment
from speechbrain_kd.runtime.verifier import SpeakerVerifier
from speechbrain_kd.runtime.wav import read_wav


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints score, threshold and decision; status 1 where it fails.

    Arguments
    ---------
    arguments : Sequence[str] | None
        By default the command line's.
    """
    parser = argparse.ArgumentParser(
        prog="speechbrain-kd verify",
        description="Are two WAV files of one speaker? Needs no torch.",
        epilog="The files have one channel of 16 or 32 bits, at the model's "
        "sample rate.",
    )
    add = parser.add_argument
    add("model", type=Path, help="the ONNX file of `speechbrain-kd export`")
    add("one", type=Path, help="a WAV file, or the .json of an enrolment")
    add("other", type=Path, help="another")
    add("--prior", type=float, help="share of pairs that are of one speaker")
    options = parser.parse_args(arguments)
    try:
        verifier = SpeakerVerifier(options.model)
        one, other = (
            _given(path, verifier) for path in (options.one, options.other)
        )
        found = verifier.verify(one, other, options.prior)
    except EXPECTED as error:
        sys.exit(f"verify: error: {' '.join(str(error).split())}")
    decision = "same speaker" if found.same_speaker else "different speakers"
    llr = "" if found.llr is None else f" llr {found.llr:.3f}"
    sys.stdout.write(
        f"score {found.score:.6f} threshold {found.threshold:.6f}{llr}: "
        f"{decision}\n"
    )


def _given(path: Path, verifier: SpeakerVerifier) -> np.ndarray | Enrolment:
    """An enrolment, or the waveform's, with errors that name the file."""
    if path.suffix == ".json":
        return Enrolment.load(path)
    wave, sample_rate = read_wav(path)
    try:
        embedding = verifier.embed(wave, sample_rate)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return Enrolment(
        [float(value) for value in embedding], 1, verifier.facts.digest
    )


if __name__ == "__main__":
    main()
