"""The tiny corpus, packed in both formats; tests must not write into them."""

import pytest

from speechbrain_kd.data.packed.writer import pack_corpus


@pytest.fixture(scope="session")
def packs(tiny_corpus, tmp_path_factory):
    """Folder of each format, of several shards."""
    pytest.importorskip("webdataset")
    folder = tmp_path_factory.mktemp("packs")
    for format in ("int16", "tar"):
        pack_corpus(
            tiny_corpus,
            folder / format,
            format,
            shard_mb=0.25,
            processes=1,
            progressbar=False,
        )
    return {format: folder / format for format in ("int16", "tar")}
