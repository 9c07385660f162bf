"""A prepared corpus, as preparation leaves it in its folder."""

import json
from dataclasses import dataclass
from pathlib import Path

from speechbrain_kd.data.lists import trial_utterances, utterance_key
from speechbrain_kd.data.manifest import read_paths

# SpeechBrain's recipe calls the validation manifest dev.csv.
CSV_NAMES = {"train": "train.csv", "valid": "dev.csv", "test": "test.csv"}
"""Manifest of each split."""

STATE_NAME = "prepare.json"
"""Written last: where it is, the preparation was finished."""


@dataclass(frozen=True)
class Corpus:
    """A prepared corpus.

    Arguments
    ---------
    train_csv : Path
        Manifest of the training utterances.
    valid_csv : Path
        Manifest of the validation utterances, of the same speakers.
    test_csv : Path | None
        Manifest of the trial list's utterances; None without a list.
    trials : Path | None
        The trial list, on this machine.
    data_folders : list[Path]
        The data folders.
    speakers : list[str]
        Training speakers, sorted.
    test_files : dict[str, Path]
        The utterances, named as the trial list does, and their files.
    """

    train_csv: Path
    valid_csv: Path
    test_csv: Path | None
    trials: Path | None
    data_folders: list[Path]
    speakers: list[str]
    test_files: dict[str, Path]

    @property
    def data_root(self) -> str:
        """What ``$data_root`` stands for in the manifests."""
        return str(self.data_folders[0])


def load_corpus(save_folder: str | Path) -> Corpus:
    """Reads back what ``prepare_corpus`` wrote.

    Arguments
    ---------
    save_folder : str | Path
        Where the manifests are.

    Returns
    -------
    Corpus
        The same as ``prepare_corpus`` returned. FileNotFoundError where the
        preparation has not been finished there.
    """
    save_folder = Path(save_folder).absolute()
    state = read_state(save_folder)
    if state is None:
        raise FileNotFoundError(
            f"{save_folder}: no finished preparation here; run without "
            "skip_prep"
        )
    folders = [Path(folder) for folder in state["data_folders"]]
    trials = Path(state["trials"]) if state["trials"] else None
    csvs = {split: save_folder / name for split, name in CSV_NAMES.items()}
    files = {}
    if trials:
        found = read_paths(csvs["test"], folders[0])
        names = trial_utterances(trials)
        files = {name: found[utterance_key(name)] for name in names}
    return Corpus(
        train_csv=csvs["train"],
        valid_csv=csvs["valid"],
        test_csv=csvs["test"] if trials else None,
        trials=trials,
        data_folders=folders,
        speakers=state["speakers"],
        test_files=files,
    )


def read_state(save_folder: Path) -> dict | None:
    """What a finished preparation says of itself; None where there is none."""
    path = save_folder / STATE_NAME
    if not path.is_file():
        return None
    return json.loads(path.read_text(encoding="utf-8"))
