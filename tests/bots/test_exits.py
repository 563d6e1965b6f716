"""How programs end, in processes of their own."""

import getpass
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bots.cli import _own_name, _readable
from bots.folders import private_folder
from core.errors import ConfigError

START = "import os\nfrom bots.exits import one_line_errors, utf8_output\nwith one_line_errors():\n "


def python(line: str, **options: object) -> subprocess.Popen[str]:
    """A program that runs one line with `one_line_errors`."""
    command = [sys.executable, "-c", START + line]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii:strict", "PYTHONUNBUFFERED": ""}
    return subprocess.Popen(command, text=True, stderr=subprocess.PIPE, env=environment, **options)  # type: ignore[call-overload, no-any-return]


def test_a_terminal_without_unicode_shows_numbers() -> None:
    """Characters that the terminal lacks are written as their numbers; output for programs is UTF-8."""
    out, errors = python("print('你好'); utf8_output(); print('你好')", stdout=subprocess.PIPE).communicate()
    assert (out, errors) == ("\\u4f60\\u597d\n你好\n", "")


def test_bytes_that_are_no_characters_are_read() -> None:
    """A terminal may send any bytes."""
    program = python("print(ascii(input()))", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert program.communicate("é\n") == ("'\\udcc3\\udca9'\n", "")


def test_output_that_nobody_reads_ends_silently() -> None:
    """If the reader of a pipe has ended, the program ends with the status of SIGPIPE and writes nothing."""
    reader, writer = os.pipe()
    os.close(reader)
    program = python("print('x' * 100_000)", stdout=writer)
    os.close(writer)
    assert (program.communicate()[1], program.returncode) == ("", 141)


@pytest.mark.parametrize(
    "line", ["print('x')", "raise ExceptionGroup('tasks', [OSError(28, 'No space left on device')])"]
)
def test_output_that_cannot_be_written_is_one_line(line: str) -> None:
    """A full disk is status 74 and one line, wherever the error comes up."""
    with Path("/dev/full").open("w") as full:
        program = python(line, stdout=full)
    assert program.communicate()[1] == "parley: cannot write the output: No space left on device\n"
    assert program.returncode == os.EX_IOERR


def test_other_errors_keep_their_traceback() -> None:
    """An error that is not of the output is one of the program."""
    program = python("open('/nowhere')", stdout=subprocess.PIPE)
    assert "Traceback" in program.communicate()[1]
    assert program.returncode == 1


def test_a_second_signal_ends_the_process_at_once() -> None:
    """The first SIGTERM lets running replies end, the second ends the process with that signal's status."""
    program = python(
        "import asyncio; from bots.run import _on_signals\n"
        " async def main():\n"
        "  stop = _on_signals(); print('ready', flush=True); await stop.wait(); print('stopping', flush=True)\n"
        "  await asyncio.Event().wait()\n"
        " asyncio.run(main())",
        stdout=subprocess.PIPE,
    )
    assert program.stdout
    assert program.stdout.readline() == "ready\n"
    program.send_signal(signal.SIGTERM)
    assert program.stdout.readline() == "stopping\n"
    program.send_signal(signal.SIGTERM)
    assert (program.communicate()[1], program.returncode) == ("", -signal.SIGTERM)


def test_a_user_without_a_name_has_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container the user's number may have no entry in the machine's list of users."""

    def unknown() -> str:
        raise KeyError("getpwuid(): uid not found: 54321")

    monkeypatch.setattr(getpass, "getuser", unknown)
    assert _own_name() == str(os.getuid())


def test_a_name_on_the_command_line_is_utf8() -> None:
    """A name that an ASCII locale reads as bytes is the name that was typed."""
    assert _readable(os.fsdecode("好".encode())) == "好"
    assert _readable("\udcff") == "\ufffd"


def test_a_foreign_data_folder_is_a_setting_to_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that this user may not write to is refused by its name, before anything is opened in it."""
    assert private_folder(tmp_path) == tmp_path
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    with pytest.raises(ConfigError, match="data_dir"):
        private_folder(tmp_path)
