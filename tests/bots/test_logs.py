import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from bots.logs import configure_logs


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_a_log_line_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    """An event is one JSON object on stderr, in any language; stdout stays free for the chat."""
    configure_logs("info")
    structlog.get_logger("bots.test").info("turn answered", tokens=7, word="你好")
    written = capsys.readouterr()
    assert written.out == ""
    assert "你好" in written.err
    line = json.loads(written.err)
    assert (line["event"], line["tokens"], line["level"]) == ("turn answered", 7, "info")


def test_events_below_the_level_are_dropped(capsys: pytest.CaptureFixture[str]) -> None:
    """At level "warning" no logger writes an info."""
    configure_logs("warning")
    structlog.get_logger("bots.test").info("quiet")
    logging.getLogger("library").info("quiet")
    assert capsys.readouterr().err == ""


def test_libraries_log_in_the_same_form(capsys: pytest.CaptureFixture[str]) -> None:
    """A library's warning is a JSON line too."""
    configure_logs("info")
    logging.getLogger("library").warning("%d left", 3)
    assert json.loads(capsys.readouterr().err)["event"] == "3 left"


@pytest.mark.parametrize(
    "library", ["httpx", "httpcore.connection", "telegram", "slack_sdk", "sqlalchemy.engine", "new"]
)
def test_what_libraries_do_is_not_logged(capsys: pytest.CaptureFixture[str], library: str) -> None:
    """Below warnings no library logs anything, even at debug and if it sets its own level: URLs contain tokens."""
    configure_logs("debug")
    logger = logging.getLogger(library)
    logger.setLevel(logging.DEBUG)
    logger.info("GET https://api.example/bot123:canary/getMe")
    logger.debug("connect canary")
    logger.setLevel(logging.NOTSET)
    logging.getLogger("bots.telegram").debug("ours")
    assert [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()] == ["ours"]


@pytest.mark.parametrize("token", ["12345:canary-of_the-token", "xoxb-1-canary", "xapp-1-canary"])
def test_tokens_are_struck_from_warnings(capsys: pytest.CaptureFixture[str], token: str) -> None:
    """A token in a warning or in a traceback is struck, whoever logs it."""
    configure_logs("debug")
    error = ValueError(f"no answer from https://api.example/bot{token}/getMe")
    logging.getLogger("library").error("asked with %s", token, exc_info=error)
    written = capsys.readouterr().err
    assert "canary" not in written
    assert written.count("[token]") == 2


def test_an_exception_is_one_line_without_local_variables(capsys: pytest.CaptureFixture[str]) -> None:
    """A traceback is part of the JSON line, without the values of local variables."""
    configure_logs("info")
    words = "canary " * 2
    try:
        len(words) // 0
    except ZeroDivisionError:
        structlog.get_logger("bots.test").exception("stumbled")
    line = json.loads(capsys.readouterr().err)
    assert "ZeroDivisionError" in line["exception"]
    assert "canary canary" not in line["exception"]
