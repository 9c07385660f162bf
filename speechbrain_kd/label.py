"""``speechbrain-kd label``: speech without labels becomes a corpus.

speechbrain-kd label campplus.onnx SPEECH --data_folder VOX --output HEARD
python train_kd.py hparams/student.yaml --data_folder=VOX,HEARD
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from speechbrain_kd.teacher import one_line_errors
from speechbrain_kd.voices import parse_listening


def main(arguments: Sequence[str] | None = None) -> None:
    """Finds the voices of a folder of audio; status 1 where it cannot.

    Arguments
    ---------
    arguments : Sequence[str] | None
        By default the command line's.
    """
    options = _parse(arguments)
    with one_line_errors("label", options.verbose):
        # Imported here, so that --help and a slip of the pen cost nothing.
        from speechbrain_kd.examining.labelling import label_speech

        found = label_speech(options)
        found.write(options.output, options.copy)
    sys.stdout.write(
        f"{found.text()}"
        f"train_kd.py --data_folder={options.data_folder},{options.output}\n"
    )


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads and checks the options."""
    parser = argparse.ArgumentParser(
        prog="speechbrain-kd label",
        description="Groups speech without labels by voices, by a speaker "
        "model's ear, and writes it as a corpus to train on beside another.",
        epilog="SOURCE is as for speechbrain-kd teacher.",
    )
    add = parser.add_argument
    add("source", metavar="SOURCE")
    add("folder", metavar="FOLDER", type=Path, help="audio files, at any depth")
    add("--data_folder", required=True, help="the corpus with labels")
    add("--output", type=Path, required=True, help="the folder to write")
    add("--least", type=int, default=4, help="utterances of a voice [4]")
    add("--prefix", default="voice", help="before the voices' numbers")
    add("--copy", action="store_true", help="copy the audio; default: link")
    add("--on_broken", default="error", choices=("error", "drop"))
    options = parse_listening(parser, arguments)
    if options.least < 2:
        parser.error(f"--least is 2 or more; got {options.least}")
    if not options.prefix or set(options.prefix) & set("/\\,@"):
        parser.error(
            "--prefix begins the names of folders, without / \\ , @; got "
            f"{options.prefix!r}"
        )
    return options


if __name__ == "__main__":
    main()
