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
    structlog.get_logger().info("turn answered", tokens=7, word="你好")
    written = capsys.readouterr()
    assert written.out == ""
    assert "你好" in written.err
    line = json.loads(written.err)
    assert (line["event"], line["tokens"], line["level"]) == ("turn answered", 7, "info")


def test_events_below_the_level_are_dropped(capsys: pytest.CaptureFixture[str]) -> None:
    """At level "warning" no logger writes an info."""
    configure_logs("warning")
    structlog.get_logger().info("quiet")
    logging.getLogger("library").info("quiet")
    assert capsys.readouterr().err == ""


def test_libraries_log_in_the_same_form(capsys: pytest.CaptureFixture[str]) -> None:
    """A library's warning is a JSON line too."""
    configure_logs("info")
    logging.getLogger("library").warning("%d left", 3)
    assert json.loads(capsys.readouterr().err)["event"] == "3 left"


def test_urls_are_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    """The HTTP clients' INFO lines are dropped even at debug, because their URLs contain tokens."""
    configure_logs("debug")
    logging.getLogger("httpx").info("GET https://api.example/bot123:canary/getMe")
    logging.getLogger("httpcore.connection").debug("connect canary")
    assert capsys.readouterr().err == ""


def test_an_exception_is_one_line_without_local_variables(capsys: pytest.CaptureFixture[str]) -> None:
    """A traceback is part of the JSON line, without the values of local variables."""
    configure_logs("info")
    words = "canary " * 2
    try:
        len(words) // 0
    except ZeroDivisionError:
        structlog.get_logger().exception("stumbled")
    line = json.loads(capsys.readouterr().err)
    assert "ZeroDivisionError" in line["exception"]
    assert "canary canary" not in line["exception"]
