"""Whole runs of train_kd.py that take seconds."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import torch

from speechbrain_kd import run

ROOT = Path(__file__).parents[2]
HPARAMS = ROOT / "hparams"
BOTH = HPARAMS / "distillation" / "both.yaml"
EMBEDDING = HPARAMS / "distillation" / "embedding.yaml"

_STUDENT = """\
!new:speechbrain.lobes.models.ECAPA_TDNN.ECAPA_TDNN
input_size: 80
channels: [8, 8, 8, 8, 24]
kernel_sizes: [5, 3, 3, 3, 1]
dilations: [1, 2, 3, 4, 1]
res2net_scale: 4
attention_channels: 8
se_channels: 8
lin_neurons: {dim}
"""

#: Runs train_kd.py; a rank says in a file how many steps its epochs had, and
#: one kills itself in mid-epoch where it is told to.
_WATCHED = """\
import json, os, signal, sys
from pathlib import Path
from speechbrain_kd import run
from speechbrain_kd.brain import DistillationBrain

at, folder, arguments = json.loads(sys.argv[1])
end = DistillationBrain.on_fit_batch_end
steps = {}

def note(brain, *given):
    end(brain, *given)
    steps[brain.epoch] = [brain.step, brain.steps_per_epoch]
    if [brain.epoch, brain.step] == at:
        os.kill(os.getpid(), signal.SIGKILL)

DistillationBrain.on_fit_batch_end = note
run.finish_run = lambda *given: None
run.main(arguments)
rank = os.environ.get("RANK", "0")
Path(folder, rank + ".json").write_text(json.dumps(steps))
"""

_AUGMENT = """\
!new:speechbrain.augment.augmenter.Augmenter
parallel_augment: True
concat_original: True
min_augmentations: 1
max_augmentations: 2
augment_prob: 1.0
augmentations:
    - !new:speechbrain.augment.time_domain.DropFreq
        drop_freq_count_high: 3
    - !new:speechbrain.augment.time_domain.DropChunk
        drop_length_low: 500
        drop_length_high: 1000
        drop_count_high: 3
"""

_RUN_TEACHER = """\
!new:speechbrain_kd.teachers.RunTeacher
source: {source}
trained_on: [tiny]
"""


def write_student(folder: Path, dim: int = 16) -> Path:
    """A fragment: ECAPA with 8 channels."""
    return _write(folder / f"student{dim}.yaml", _STUDENT.format(dim=dim))


def write_augment(folder: Path) -> Path:
    """A fragment: dropped bands and chunks beside the originals."""
    return _write(folder / "augment.yaml", _AUGMENT)


def write_teacher(folder: Path, run_folder: Path) -> Path:
    """A fragment: the teacher is another run."""
    text = _RUN_TEACHER.format(source=run_folder)
    return _write(folder / "teacher.yaml", text)


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def arguments(
    corpus: Path | str,
    folder: Path,
    *overrides: str,
    dim: int = 16,
    recipe: Path = HPARAMS / "baseline.yaml",
) -> list[str]:
    """Arguments of ``train_kd.py`` for a small plain run."""
    student = write_student(folder.parent, dim)
    given = [
        f"--data_folder={corpus}",
        f"--output_folder={folder}",
        f"--embedding_model={student}",
        "--number_of_epochs=1",
        "--batch_size=6",
        "--sentence_len=0.8",
        "--split_ratio=[60, 40]",
        "--lr=0.01",
        "--noprogressbar",
        "--device=cpu",
        "--teacher_views=0",
        f"--store_folder={folder.parent / 'store'}",
        *overrides,
    ]
    # A key that comes twice is refused: the later one is meant.
    by_key = {argument.split("=")[0]: argument for argument in given}
    return [str(recipe), *by_key.values()]


def train(
    corpus: Path | str,
    folder: Path,
    *overrides: str,
    dim: int = 16,
    recipe: Path = HPARAMS / "baseline.yaml",
) -> Path:
    """A small run in this process."""
    run.main(arguments(corpus, folder, *overrides, dim=dim, recipe=recipe))
    return folder


def distil(
    corpus: Path | str,
    folder: Path,
    teacher: Path,
    *overrides: str,
    objective: Path = BOTH,
    dim: int = 16,
) -> Path:
    """A small run with a teacher, by the path of its fragment."""
    given = (f"--teacher={teacher}", f"--distillation={objective}")
    return train(corpus, folder, *given, *overrides, dim=dim)


def environment() -> dict[str, str]:
    """What a run in a process of its own needs."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return os.environ | {
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
    }


def python(*given: str | Path) -> list[str]:
    """A command line of this interpreter."""
    return [sys.executable, *map(str, given)]


def on_ranks(ranks: int, *given: str | Path) -> subprocess.CompletedProcess:
    """A script in so many processes on this machine."""
    launch = ["-m", "torch.distributed.run", f"--nproc_per_node={ranks}"]
    alone = ["--rdzv_backend=c10d", "--rdzv_endpoint=localhost:0"]
    return _done(python(*launch, *alone, *given))


def watched_run(
    given: list[str],
    folder: Path,
    kill_at: list[int] | None = None,
    ranks: int = 1,
) -> subprocess.CompletedProcess:
    """A run in processes of its own that notes its steps, or is killed.

    ``<rank>.json`` in the folder says how many steps each epoch had and was
    to have; ``kill_at`` is an epoch and a step in it.
    """
    text = json.dumps([kill_at, str(folder), given])
    script = _write(folder / "watched.py", _WATCHED)
    if ranks > 1:
        return on_ranks(ranks, script, text)
    return _done(python(script, text))


def _done(command: list[str]) -> subprocess.CompletedProcess:
    return subprocess.run(
        command,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )


def checkpoint(folder: Path) -> Path:
    """The only, or the newest, checkpoint of a run."""
    return max((folder / "save").glob("CKPT+*"), key=_age)


def _age(path: Path) -> float:
    text = (path / "CKPT.yaml").read_text()
    return float(re.search(r"unixtime: (.+)", text)[1])


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """Encoder and classifier of a run's newest checkpoint."""
    state = {}
    for name in ("embedding_model", "classifier"):
        part = torch.load(checkpoint(folder) / f"{name}.ckpt")
        state |= {f"{name}.{key}": value for key, value in part.items()}
    return state


def different(
    one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]
) -> list[str]:
    """Names of what is not bit-identical."""
    assert one.keys() == other.keys()
    return [key for key in one if not torch.equal(one[key], other[key])]


def train_log(folder: Path) -> list[dict[str, float]]:
    """An entry an epoch: "train loss", "valid EER", … by name."""
    lines = (folder / "train_log.txt").read_text().splitlines()
    return [
        {
            name.strip(): float(value)
            for name, value in re.findall(r"([\w ]+): ([^\s,]+)", line)
        }
        for line in lines
    ]
