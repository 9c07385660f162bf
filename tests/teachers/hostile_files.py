"""Ways to spoil the checkpoints and labels of a good SpeechBrain folder."""

import io
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import torch
from hostile_folders import Case

CASES: dict[str, Case] = {}


def case(file: str, words: str) -> Callable:
    """Adds a function to the cases, under its name."""

    def add(spoil: Callable) -> Callable:
        CASES[spoil.__name__] = Case(spoil, file, words)
        return spoil

    return add


class _Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return open, (str(self.path), "w")


@case("embedding_model.ckpt", "is refused")
def pickle_in_zip(folder, mark):
    torch.save({"weight": _Touch(mark)}, folder / "embedding_model.ckpt")


@case("embedding_model.ckpt", "is refused")
def pickle_of_old(folder, mark):
    torch.save(
        {"weight": _Touch(mark)},
        folder / "embedding_model.ckpt",
        _use_new_zipfile_serialization=False,
    )


@case("classifier.ckpt", "is refused")
def pickle_bare(folder, mark):
    (folder / "classifier.ckpt").write_bytes(pickle.dumps(_Touch(mark)))


@case("mean_var_norm_emb.ckpt", "is refused")
def pickle_of_statistics(folder, mark):
    stats = {"count": 1, "glob_mean": _Touch(mark), "glob_std": 1}
    torch.save(stats, folder / "mean_var_norm_emb.ckpt")


@case("label_encoder.txt", "text in UTF-8")
def pickle_as_labels(folder, mark):
    (folder / "label_encoder.txt").write_bytes(pickle.dumps(_Touch(mark)))


@case("label_encoder.txt", "line 1: expected 'label' => index")
def code_as_labels(folder, mark):
    (folder / "label_encoder.txt").write_text(
        f"__import__('os').system('touch {mark}') => 0\n"
    )


@case("embedding_model.ckpt", "is refused")
def torchscript(folder, mark):
    torch.jit.script(torch.nn.Linear(2, 2)).save(
        str(folder / "embedding_model.ckpt")
    )


def _rezipped(path: Path, **changes: object) -> None:
    """Writes an archive anew, its entries spoilt."""
    with zipfile.ZipFile(path) as archive:
        entries = {one: archive.read(one) for one in archive.namelist()}
    with zipfile.ZipFile(path, "w", **changes) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)


@case("embedding_model.ckpt", "is compressed")
def zip_bomb(folder, mark):
    path = folder / "embedding_model.ckpt"
    torch.save({"weight": torch.zeros(1_000_000)}, path)
    _rezipped(path, compression=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 20_000


@case("embedding_model.ckpt", "does not fit into the file")
def zip_of_overlaps(folder, mark):
    """Many entries of the directory share the same bytes of the file."""
    path = folder / "embedding_model.ckpt"
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("archive/data/0", bytes(100_000))
        (first,) = archive.infolist()
        for number in range(1, 20):
            entry = zipfile.ZipInfo(f"archive/data/{number}")
            for field in ("file_size", "compress_size", "CRC", "header_offset"):
                setattr(entry, field, getattr(first, field))
            archive.filelist.append(entry)
    path.write_bytes(data.getvalue())


@case("classifier.ckpt", "it is damaged")
def ckpt_truncated(folder, mark):
    path = folder / "classifier.ckpt"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@case("classifier.ckpt", "has no classifier.ckpt")
def ckpt_missing(folder, mark):
    (folder / "classifier.ckpt").unlink()


@case("classifier.ckpt", "has no classifier.ckpt")
def ckpt_is_a_folder(folder, mark):
    (folder / "classifier.ckpt").unlink()
    (folder / "classifier.ckpt").mkdir()


@case("classifier.ckpt", "has no classifier.ckpt")
def ckpt_is_a_pipe(folder, mark):
    (folder / "classifier.ckpt").unlink()
    os.mkfifo(folder / "classifier.ckpt")


def _linked(file: str) -> None:
    """Puts a link to somewhere outside in a file's place."""

    def spoil(folder: Path, mark: Path) -> None:
        elsewhere = folder.parent / "elsewhere"
        elsewhere.mkdir()
        shutil.move(folder / file, elsewhere / file)
        (folder / file).symlink_to(elsewhere / file)

    CASES[f"link_{file}"] = Case(spoil, file, "is a link to")


for _file in ("hyperparams.yaml", "embedding_model.ckpt", "label_encoder.txt"):
    _linked(_file)


def _weights(name: str, change: Callable, words: str) -> None:
    """Changes the state dict of the embedding model."""

    def spoil(folder: Path, mark: Path) -> None:
        path = folder / "embedding_model.ckpt"
        state = torch.load(path)
        torch.save(change(state), path)

    CASES[f"weights_{name}"] = Case(spoil, "embedding_model.ckpt", words)


_KEY = "fc.conv.bias"
_weights("nan", lambda s: s | {_KEY: s[_KEY] / 0 * 0}, "NaN or infinite: fc")
_weights("infinite", lambda s: s | {_KEY: s[_KEY] / 0}, "NaN or infinite: fc")
_weights("sparse", lambda s: s | {_KEY: s[_KEY].to_sparse()}, "no plain tensor")
_weights("whole_numbers", lambda s: s | {_KEY: s[_KEY].int()}, "torch.int32")
_weights("no_tensor", lambda s: s | {_KEY: 1}, "got no tensor")
_weights(
    "shape", lambda s: s | {_KEY: s[_KEY][:1]}, r"expected \[12\], got \[1"
)
_weights("list", lambda s: list(s.values()), "should hold a state_dict")
_weights("numbered", lambda s: {1: s[_KEY]}, "a name for each tensor")


@case("ecapa", "embeds any two sounds alike")
def weights_zero(folder, mark):
    path = folder / "embedding_model.ckpt"
    state = torch.load(path)
    torch.save({key: 0 * value for key, value in state.items()}, path)


@case("mean_var_norm_emb.ckpt", "NaN or infinite: glob_mean")
def statistics_nan(folder, mark):
    path = folder / "mean_var_norm_emb.ckpt"
    torch.save(torch.load(path) | {"glob_mean": torch.ones(12) / 0}, path)


@case("embedding_model.ckpt", "does not fit the ECAPA_TDNN")
def swapped(folder, mark):
    one, other = folder / "classifier.ckpt", folder / "embedding_model.ckpt"
    data = one.read_bytes(), other.read_bytes()
    other.write_bytes(data[0])
    one.write_bytes(data[1])


@case("label_encoder.txt", "7 labels where")
def labels_of_another(folder, mark):
    lines = [f"'id2000{index}' => {index}\n" for index in range(7)]
    lines += ["================\n", "'starting_index' => 0\n"]
    (folder / "label_encoder.txt").write_text("".join(lines))


@case("label_encoder.txt", "is cut short")
def labels_truncated(folder, mark):
    path = folder / "label_encoder.txt"
    path.write_text(path.read_text().partition("====")[0])


@case("label_encoder.txt", "line 2: the label 'a' stands twice")
def labels_twice(folder, mark):
    (folder / "label_encoder.txt").write_text("'a' => 0\n'a' => 1\n")


@case("label_encoder.txt", "line 1: expected 'label' => index")
def labels_nested(folder, mark):
    (folder / "label_encoder.txt").write_text("(" * 900 + " => 0\n")


@case("classifier.ckpt", "it is damaged")
def ckpt_empty(folder, mark):
    (folder / "classifier.ckpt").write_bytes(b"")


@case("label_encoder.txt", "line 1: expected 'label' => index")
def labels_empty(folder, mark):
    (folder / "label_encoder.txt").write_bytes(b"")
