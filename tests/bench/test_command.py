"""Which sections run, and what they leave behind."""

import importlib
import json

import pytest

from speechbrain_kd.bench import audio, command, store
from speechbrain_kd.bench.command import SECTIONS, main


def fake(monkeypatch, module, answer):
    """Replaces a section; the options that it is given, and no others."""
    given = []

    def measure(options):
        given.append(options)
        if isinstance(answer, Exception):
            raise answer
        return {"answer": answer}

    monkeypatch.setattr(module, "measure", measure)
    monkeypatch.setattr(
        module, "report", lambda facts: f"| {facts['answer']} |\n"
    )
    return given


def test_named_sections_are_written_and_shown(tmp_path, monkeypatch, capsys):
    heard = fake(monkeypatch, audio, "loud")
    kept = fake(monkeypatch, store, "full")
    main(
        ["--sections", "store,audio", "--output", str(tmp_path)]
        + ["--data_folder", "here", "--batch_size", "7", "--device", "cpu"]
        + ["--teachers", "a.yaml,b.yaml"]
    )
    (options,) = heard
    assert kept == [options]
    assert (options.data_folder, options.batch_size) == ("here", 7)
    assert options.teachers == ("a.yaml", "b.yaml")
    assert options.work == tmp_path / "work"
    facts = json.loads((tmp_path / "audio.json").read_text())
    assert facts["answer"] == "loud"
    assert facts["machine"] and facts["device"].startswith("CPU")
    assert (tmp_path / "store.md").read_text() == "| full |\n"
    said = capsys.readouterr().out
    assert said.index("## store") < said.index("| full |")
    assert said.index("| full |") < said.index("## audio")


def test_without_names_the_usual_sections_run(tmp_path, monkeypatch):
    ran = []
    monkeypatch.setattr(command, "_run", lambda name, *_: ran.append(name))
    main(["--output", str(tmp_path)])
    assert ran == [name for name, (_, _, usual) in SECTIONS.items() if usual]
    assert "million" not in ran


def test_an_unknown_section_stops_before_any_other(tmp_path, monkeypatch):
    given = fake(monkeypatch, audio, "loud")
    with pytest.raises(SystemExit, match="no section video; there are"):
        main(["--sections", "audio,video", "--output", str(tmp_path)])
    assert not given


def test_what_is_wrong_is_said_with_the_section(tmp_path, monkeypatch):
    fake(monkeypatch, audio, ValueError("no microphone"))
    with pytest.raises(SystemExit, match="audio: no microphone"):
        main(["--sections", "audio", "--output", str(tmp_path)])
    assert not (tmp_path / "audio.json").exists()


@pytest.mark.parametrize("section", SECTIONS)
def test_every_section_is_a_module(section):
    name = SECTIONS[section][0]
    module = importlib.import_module(f"speechbrain_kd.bench.{name}")
    assert callable(module.measure) and callable(module.report)
