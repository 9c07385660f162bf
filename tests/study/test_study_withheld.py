"""Half of the labels withheld: who stays, who goes, and under what name."""

from pathlib import Path

import pytest

from speechbrain_kd.data.prepare import prepare_corpus
from speechbrain_kd.study.withheld import lose_labels, withhold


def test_a_view_with_half_of_the_labels(tiny_corpus, tmp_path):
    output = tmp_path / "half"
    withhold(tiny_corpus, output, 0.5)
    whole = prepare_corpus(tiny_corpus, tmp_path / "1", progressbar=False)
    half = prepare_corpus(
        output / "labelled", tmp_path / "2", progressbar=False
    )
    assert len(half.speakers) == 3
    assert set(half.speakers) < set(whole.speakers)
    assert list(half.test_files) == list(whole.test_files)
    hidden = sorted((output / "unlabelled").iterdir())
    named = {path.resolve().relative_to(tiny_corpus / "wav") for path in hidden}
    lost = {path.parts[0] for path in named}
    assert lost == set(whole.speakers) - set(half.speakers)
    assert len(named) == len(hidden) == 3 * 6
    assert not any(speaker in path.name for path in hidden for speaker in lost)


def test_a_view_is_made_once(tiny_corpus, tmp_path):
    withhold(tiny_corpus, tmp_path / "half", 0.5)
    before = (tmp_path / "half").stat().st_mtime_ns
    withhold(Path("nowhere"), tmp_path / "half", 0.5)
    assert (tmp_path / "half").stat().st_mtime_ns == before


def test_the_same_share_of_each_group():
    speakers = [f"s{number:02d}" for number in range(20)]
    groups = {name: "a" if name < "s06" else "b" for name in speakers}
    lost = lose_labels(speakers, 0.5, groups)
    assert [
        len(lost & {x for x in speakers if groups[x] == g}) for g in "ab"
    ] == [
        3,
        7,
    ]
    assert lost == lose_labels(speakers[::-1], 0.5, groups)


def test_what_cannot_be_divided(tiny_corpus, tmp_path):
    with pytest.raises(ValueError, match="leaves nobody on one side"):
        withhold(tiny_corpus, tmp_path / "none", 0.01)
    both = f"{tiny_corpus},{tmp_path}"
    with pytest.raises(ValueError, match="expected one data folder, got 2"):
        withhold(both, tmp_path / "none", 0.5)
    with pytest.raises(FileNotFoundError, match="no folder"):
        withhold("minivox-none", tmp_path / "none", 0.5)
    with pytest.raises(FileNotFoundError, match="without a trial list"):
        withhold(tiny_corpus / "wav", tmp_path / "none", 0.5)
    assert not (tmp_path / "none").exists()
