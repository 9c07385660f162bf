"""Teachers that answer at once, and manifests to ask them about."""

from pathlib import Path

import torch
from torch.nn.functional import normalize

from speechbrain_kd.data.table import ManifestTable
from speechbrain_kd.teachers.base import Teacher
from speechbrain_kd.teachers.heard import Heard


class Bands(Teacher):
    """The level in some bands of the spectrum; counts what it is asked."""

    def __init__(self, dim=4, labels=None, cosine_logits=True, start=0):
        super().__init__(
            f"bands {dim}",
            dim,
            labels=labels,
            cosine_logits=cosine_logits,
            trained_on=["bands"],
            digests={"bands.txt": f"{dim}{start}"},
        )
        self.start, self.dim = start, dim
        draw = torch.Generator().manual_seed(dim)
        rows = torch.randn(len(labels or ()), dim, generator=draw)
        self.rows = torch.nn.Parameter(normalize(rows))
        self._heard = []
        self.freeze()

    def encode(self, wavs, lens):
        self._heard += list(wavs)
        spectrum = torch.fft.rfft(wavs, 512).abs().clamp(min=1e-3).log()
        return spectrum[:, 2 + 3 * self.start :][:, : 3 * self.dim : 3]

    def classify(self, embeddings):
        if self.labels is None:
            return None
        if self.cosine_logits:
            return normalize(embeddings) @ self.rows.T
        return (embeddings @ self.rows.T).log_softmax(1)


class Turned(Bands):
    """The same in a space that is turned, and perhaps padded."""

    def __init__(self, dim=4, wider=0):
        super().__init__(dim)
        self.wider = wider
        draw = torch.Generator().manual_seed(9)
        turn = torch.linalg.qr(torch.randn(*(dim + wider,) * 2, generator=draw))
        self.turn = torch.nn.Parameter(turn[0][:dim], False)
        self.embedding_dim = dim + wider

    def encode(self, wavs, lens):
        return super().encode(wavs, lens) @ self.turn


def write_table(corpus: Path, folder: Path) -> ManifestTable:
    """A manifest of a corpus's first six speakers."""
    lines = ["ID,duration,wav,start,stop,spk_id"]
    for path in sorted((corpus / "wav").glob("id0000[0-5]/*/*.wav")):
        samples = (path.stat().st_size - 44) // 2
        name = path.relative_to(corpus)
        lines.append(
            f"{name},{samples / 16000},$data_root/{name},0,{samples},"
            f"{path.parts[-3]}"
        )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "some.csv").write_text("\n".join(lines))
    return ManifestTable.from_csv(folder / "some.csv", corpus)


def hear(corpus: Path, folder: Path, **options) -> Heard:
    """All of a corpus."""
    table = write_table(corpus, folder)
    return Heard(table, folder / "learned", progressbar=False, **options)
