"""``speechbrain-kd``: a thin face on the parts."""

import argparse
import importlib
import sys

#: Command: (module with a ``main(arguments)``, what it does).
COMMANDS = {
    "train": ("speechbrain_kd.run", "train by a yaml, evaluate and export"),
    "demo": ("speechbrain_kd.demo", "the comparison on the embedded corpus"),
    "seeds": ("speechbrain_kd.seeds", "baseline against student over seeds"),
    "study": (
        "speechbrain_kd.study.command",
        "terms, students and seeds in one table",
    ),
    "pack": ("speechbrain_kd.pack", "a corpus into a few large files"),
    "evaluate": ("speechbrain_kd.evaluate", "models side by side on trials"),
    "export": ("speechbrain_kd.export.command", "a model for where it runs"),
    "verify": ("speechbrain_kd.runtime.command", "two WAV files, no torch"),
    "bench": ("speechbrain_kd.bench.command", "what all of it costs here"),
    "teacher": ("speechbrain_kd.teacher", "what a teacher is, and its checks"),
    "voices": ("speechbrain_kd.voices", "ids of a corpus that are one voice"),
    "label": ("speechbrain_kd.label", "speech without labels as a corpus"),
    "store": ("speechbrain_kd.stored", "ask a teacher ahead of the training"),
    "push": ("speechbrain_kd.push", "a finished run to a hub, with a card"),
}
#: What the extra `train` brings, as it is imported.
TRAINING = (
    *("torch", "torchaudio", "speechbrain", "hyperpyyaml", "ruamel", "yaml"),
    *("scipy", "sklearn", "soundfile", "av", "matplotlib", "jinja2"),
    *("huggingface_hub", "tqdm"),
)


def main(arguments: list[str] | None = None) -> None:
    """Runs one command.

    Arguments
    ---------
    arguments : list[str] | None
        The command and its own arguments; by default the command line's.
    """
    listing = "\n".join(
        f"  {name:9}{what}" for name, (_, what) in COMMANDS.items()
    )
    parser = argparse.ArgumentParser(
        prog="speechbrain-kd",
        description="Knowledge distillation of speaker models.",
        epilog=f"commands:\n{listing}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    options = parser.parse_args(arguments)
    try:
        module = importlib.import_module(COMMANDS[options.command][0])
        module.main(options.arguments)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in TRAINING:
            raise
        sys.exit(
            f"speechbrain-kd {options.command}: needs {package}: pip install "
            "'speechbrain_kd[train]'"
        )
