"""minivox: a corpus of synthetic speakers in VoxCeleb1's layout, made in place.

It stands in for VoxCeleb where there is none: a few hundred voices, several
recordings of each through different channels, a new sentence in every file, and
a list of trials over speakers that are in no training file. It is made in about
two minutes, and the same seed makes the same bytes on any number of processes.
"""

import json
import logging
import multiprocessing
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from speechbrain_kd.atomic import atomic_path
from speechbrain_kd.data.layout import SPEAKERS_TABLE
from speechbrain_kd.data.minivox_channel import ChannelSpace
from speechbrain_kd.data.minivox_plan import Plan, make_speaker
from speechbrain_kd.data.minivox_speech import espeak_version
from speechbrain_kd.data.minivox_trials import make_trials
from speechbrain_kd.data.minivox_voices import VoiceSpace

logger = logging.getLogger(__name__)

VERSION = 1


def make_minivox(
    folder: str | Path,
    num_train_speakers: int = 300,
    num_test_speakers: int = 60,
    utterances_per_speaker: int = 20,
    seed: int = 1986,
    num_workers: int | None = None,
    progressbar: bool = True,
    recordings_per_speaker: int = 4,
    voices: VoiceSpace | None = None,
    channels: ChannelSpace | None = None,
) -> Path:
    """Makes the embedded corpus, or what is missing of it.

    An interrupted call loses the speakers that were in work; the next one goes
    on from there. A finished corpus is used as it is. One process at a time may
    make a corpus: under DDP, the main one. Worker processes are spawned, so a
    script that calls this needs its ``if __name__ == "__main__":``.

    Arguments
    ---------
    folder : str | Path
        Where to: ``wav/id1xxxx/recxx/xxxxx.wav``, ``meta/veri_test.txt``,
        ``meta/speakers.csv`` and ``meta/minivox.json``, which tells how it was
        made.
    num_train_speakers, num_test_speakers : int
        How many speakers to train on and to test on; none is in both.
    utterances_per_speaker : int
        How many files a speaker has.
    seed : int
        Another seed makes another corpus.
    num_workers : int, optional
        Number of processes; one for each core by default, none for 0.
    progressbar : bool
        Whether to show progress.
    recordings_per_speaker : int
        How many recordings the files of a speaker are spread over.
    voices : VoiceSpace, optional
        How speakers differ.
    channels : ChannelSpace, optional
        How recordings differ.

    Returns
    -------
    Path
        The folder, to be used as ``data_folder``.

    Raises
    ------
    ValueError
        Where the folder holds a corpus made with other parameters, or another
        corpus altogether, or where a number is out of range.
    ImportError
        Where ``espeakng-loader`` is missing.
    """
    plan = Plan(
        num_train_speakers,
        num_test_speakers,
        utterances_per_speaker,
        recordings_per_speaker,
        seed,
        voices=voices or VoiceSpace(),
        channels=channels or ChannelSpace(),
    )
    folder = Path(folder)
    made = folder / "meta" / "minivox.json"
    begun = made.with_suffix(".part.json")
    wanted = json.loads(json.dumps({"version": VERSION, **asdict(plan)}))
    _check_folder(folder, (made, begun), wanted)
    if made.is_file():
        logger.info("The corpus in %s is complete.", folder)
        return folder
    version = espeak_version()
    with atomic_path(begun) as part:
        part.write_text(json.dumps({"parameters": wanted}, indent=1))
    _make_speakers(plan, folder, num_workers, progressbar)
    _write_meta(plan, folder)
    with atomic_path(made) as part:
        note = {"parameters": wanted, "espeak": version}
        part.write_text(json.dumps(note, indent=1) + "\n")
    begun.unlink()
    return folder


def _check_folder(folder: Path, notes: tuple[Path, ...], wanted: dict) -> None:
    """Raises where a folder holds something else than this corpus."""
    notes = tuple(note for note in notes if note.is_file())
    for note in notes:
        _check_same(note, wanted)
    if not notes and (folder / "wav").exists():
        raise ValueError(
            f"{folder} holds a wav folder that is not minivox: expected an "
            f"empty folder or one with meta/minivox.json. Give another."
        )


def _check_same(note: Path, wanted: dict) -> None:
    """Raises where a corpus was made with other parameters."""
    found = json.loads(note.read_text())["parameters"]
    differ = [
        f"{name}: there {found.get(name)}, wanted {wanted.get(name)}"
        for name in sorted(set(found) | set(wanted))
        if found.get(name) != wanted.get(name)
    ]
    if differ:
        raise ValueError(
            f"{note} says that the corpus was made with other "
            f"parameters ({'; '.join(differ)}). Ask for those, delete "
            f"{note.parent.parent}, or give another folder."
        )


def _make_speakers(
    plan: Plan, folder: Path, num_workers: int | None, progressbar: bool
) -> None:
    """Makes the speakers that are missing, in parallel."""
    wav = folder / "wav"
    for left_over in wav.glob(".id1*"):
        shutil.rmtree(left_over, ignore_errors=True)
    missing = [
        speaker
        for speaker in plan.speakers()
        if not (wav / f"id1{speaker:04d}").is_dir()
    ]
    if num_workers is None:
        num_workers = (
            len(os.sched_getaffinity(0))
            if hasattr(os, "sched_getaffinity")
            else os.cpu_count() or 1
        )
    with tqdm(
        total=len(plan.speakers()),
        initial=len(plan.speakers()) - len(missing),
        desc="minivox",
        unit="speaker",
        disable=not progressbar,
    ) as bar:
        # Closing ends the other processes also where this one is interrupted.
        with closing(_run(plan, wav, missing, num_workers)) as run:
            for _ in run:
                bar.update()


def _run(
    plan: Plan, wav: Path, speakers: list[int], num_workers: int
) -> Iterator[None]:
    """Makes speakers here or in other processes; yields after each."""
    if num_workers == 0:
        for speaker in speakers:
            yield make_speaker(plan, wav, speaker)
        return
    with tempfile.TemporaryDirectory(prefix="minivox-") as scratch:
        pool = ProcessPoolExecutor(
            max(1, min(num_workers, len(speakers))),
            multiprocessing.get_context("spawn"),
            _start_worker,
            (scratch,),
        )
        try:
            jobs = [pool.submit(make_speaker, plan, wav, s) for s in speakers]
            for job in as_completed(jobs):
                yield job.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _start_worker(scratch: str) -> None:
    """Leaves Ctrl-C to the parent, and ends with it even if it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    tempfile.tempdir = scratch

    def watch() -> None:
        multiprocessing.parent_process().join()
        shutil.rmtree(scratch, ignore_errors=True)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _write_meta(plan: Plan, folder: Path) -> None:
    """Writes the list of trials and the table of speakers."""
    lines = ["speaker,set,gender,accent,pitch_hz,tract"]
    for speaker, use in plan.speakers().items():
        voice = plan.voice(speaker)
        lines.append(
            f"id1{speaker:04d},{use},{voice.gender},{voice.accent[4:]},"
            f"{voice.pitch_hz:.1f},{voice.tract:.3f}"
        )
    with atomic_path(folder / SPEAKERS_TABLE) as part:
        part.write_text("\n".join(lines) + "\n")
    test = [s for s, use in plan.speakers().items() if use == "test"]
    trials = make_trials(
        {speaker: plan.voice(speaker) for speaker in test},
        plan.utterances_per_speaker,
        plan.recordings_per_speaker,
        plan.trial_rng(),
    )
    with atomic_path(folder / "meta" / "veri_test.txt") as part:
        part.write_text(
            "".join(
                f"{label} {plan.file(*enrol)} {plan.file(*test)}\n"
                for label, enrol, test in trials
            )
        )
