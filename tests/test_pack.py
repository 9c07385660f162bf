"""``speechbrain-kd pack`` at the command line."""

import logging

import pytest

from speechbrain_kd import cli, pack
from speechbrain_kd.data.packed.index import open_index


def test_pack_and_verify(tiny_corpus, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    output = tmp_path / "pack"
    options = ["--shard-mb", "0.5", "--processes", "1", "--verify"]
    cli.main(["pack", str(tiny_corpus), str(output), *options])
    assert "48 utterances, all sound" in caplog.text
    assert open_index(output).facts["format"] == "int16"


def test_a_finished_pack_is_verified_without_its_source(
    tiny_corpus, tmp_path, monkeypatch, caplog
):
    caplog.set_level(logging.INFO)
    source, output = tmp_path / "source", tmp_path / "pack"
    source.symlink_to(tiny_corpus)
    arguments = [str(source), str(output), "--processes", "1"]
    pack.main(arguments)
    source.unlink()
    pack.main([*arguments, "--verify"])
    assert "all sound" in caplog.text
    with pytest.raises(SystemExit, match="pack: error: .*no folder"):
        pack.main(arguments)
    with pytest.raises(SystemExit, match="give another output folder"):
        pack.main([str(tiny_corpus), str(output), "--verify"])
    source.symlink_to(tiny_corpus)
    with pytest.raises(SystemExit, match="give another output folder"):
        pack.main([*arguments, "--verify", "--format", "tar"])


def test_errors_name_what_is_wrong(tmp_path):
    with pytest.raises(SystemExit, match="pack: error: .*/no/such"):
        pack.main(["/no/such", str(tmp_path / "pack"), "--verify"])
    (tmp_path / "empty").mkdir()
    (tmp_path / "half" / ".pack").mkdir(parents=True)
    arguments = [str(tmp_path / "empty"), str(tmp_path / "half"), "--verify"]
    with pytest.raises(SystemExit, match="no audio found"):
        pack.main(arguments)


def test_an_interrupt_says_how_to_go_on(tmp_path, monkeypatch, caplog):
    def interrupted(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(pack, "run", interrupted)
    caplog.set_level(logging.INFO)
    with pytest.raises(SystemExit) as caught:
        pack.main(["a", str(tmp_path)])
    assert caught.value.code == 130
    assert "goes on where it stopped" in caplog.text
