"""``speechbrain-kd`` hands each command its arguments."""

import importlib

import pytest

from speechbrain_kd import cli


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_gets_its_own_arguments(command, monkeypatch):
    module = importlib.import_module(cli.COMMANDS[command][0])
    got = []
    monkeypatch.setattr(module, "main", got.append)
    cli.main([command, "x.yaml", "--seed=3", "--", "--lr=1"])
    assert got == [["x.yaml", "--seed=3", "--", "--lr=1"]]


def test_help_lists_the_commands(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    for command, (_, what) in cli.COMMANDS.items():
        assert command in text and what in text


@pytest.mark.parametrize("arguments", [[], ["nonsense"]])
def test_no_such_command(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert "COMMAND" in capsys.readouterr().err
