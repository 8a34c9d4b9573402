"""Each command that reads results explains itself in its --help."""

from __future__ import annotations

import importlib

import pytest


@pytest.mark.parametrize("command", ["track", "compare", "curves", "retrain", "cluster"])
def test_help_prints_the_whole_usage(command, capsys):
    main_module = importlib.import_module(f"suite.{command}.__main__")
    with pytest.raises(SystemExit) as leaving:
        main_module.main(["--help"])
    printed = capsys.readouterr().out
    assert leaving.value.code == 0
    assert f"    swiftbench {command} " in printed
    assert "Exit code: 0" in printed
    assert main_module.__doc__.strip() in printed
