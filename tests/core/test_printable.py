"""Foreign text is shown, never obeyed."""

import io
import random
import subprocess
import sys

import pytest

from suite.core.command import run_command
from suite.core.errors import ConfigError
from suite.core.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, ü, 漢字, η", "plain, ü, 漢字, η"),
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("\x9b31m", r"\x9b31m"),
        ("a\nsuite: completed\r", r"a\nsuite: completed\r"),
        ("user\u202etxt.exe\u2066", r"user\u202etxt.exe\u2066"),
        ("\u2028\u200b\ufeff\U000e0041", r"\u2028\u200b\ufeff\U000e0041"),
        ("\udce9\ud800", r"\udce9\ud800"),
        (None, "None"),
    ],
)
def test_what_a_terminal_would_obey_is_written_as_an_escape(text, shown):
    assert printable(text) == shown


def test_the_suites_own_lines_stay_lines():
    assert printable("one\ntwo\x1b", lines=True) == "one\ntwo\\x1b"


def test_a_long_text_is_cut():
    assert printable("a" * 10**6, most=5) == "aaaaa..."


def test_no_string_fails():
    draw = random.Random(0)
    for _ in range(300):
        text = "".join(chr(draw.randrange(0x110000)) for _ in range(20))
        assert printable(text).isprintable()
        printable(text).encode()


def test_no_object_fails():
    class Broken:
        def __str__(self):
            raise RuntimeError("no words")

    assert printable(Broken()) == "<Broken>"
    assert printable(10**6000) == "<int>"


def test_a_command_says_foreign_text_on_any_stream(monkeypatch):
    """PYTHONIOENCODING=ascii and a journal full of escapes: one line, no traceback, nothing obeyed."""
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(written, encoding="ascii"))

    def body():
        raise ConfigError("model=\x1b[2J漢: unknown")

    assert run_command("suite", body) == 1
    sys.stderr.flush()
    assert written.getvalue() == b"suite: model=\\x1b[2J\\u6f22: unknown\n"


def test_a_stream_that_is_closed_from_the_beginning_leads_nowhere(tmp_path):
    """And its number goes to no file that is opened later."""
    script = (
        "import os, sys\n"
        "from suite.core.command import run_command\n"
        "def body():\n"
        "    file = open(sys.argv[1], 'w')\n"
        "    print('printed', sys.stdout.isatty())\n"
        "    os.write(1, b'by a library')\n"
        "    return 3\n"
        "sys.exit(run_command('test', body))\n"
    )
    path = tmp_path / "journal"
    command = [sys.executable, "-c", script, str(path)]
    code = subprocess.run(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command]).returncode
    assert code == 3 and path.read_bytes() == b""
