"""Outputs of the console."""

from io import StringIO

import pytest

from bots.screens import LineScreen, Seconds, TerminalScreen
from core.messages import Label, Mood, Reply, Source

GLAD = Mood(label=Label.POSITIVE, confidence=0.9)
SECONDS = Seconds(first_token=None, total=1.0)
CODE = "So:\n```\nx\n```"


def said(text: str, *, show: bool) -> Reply:
    return Reply(text=text, source=Source.MODEL, mood=GLAD, show_mood=show)


@pytest.mark.parametrize(
    ("text", "show", "shown"),
    [("hi", True, "hi 😊\n"), ("hi", False, "hi\n"), (CODE, True, f"{CODE}\n😊\n"), (CODE, False, f"{CODE}\n")],
)
def test_terminal_shows_the_mood(capsys: pytest.CaptureFixture[str], text: str, show: bool, shown: str) -> None:  # noqa: FBT001
    """A terminal shows the mood after the reply, on a line of its own after code, if the mood is shown."""
    TerminalScreen("en").reply(said(text, show=show), SECONDS)
    assert capsys.readouterr().out == shown


@pytest.mark.parametrize(("done", "shown"), [(1, "converting the new model, once: 25 %"), (4, "thinking")])
def test_a_wait_for_a_new_model_says_so(monkeypatch: pytest.MonkeyPatch, done: int, shown: str) -> None:
    """While the weights of a new model are converted, the spinner says how far that is, and then that it thinks."""
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setattr("sys.stdout", out := StringIO())
    screen = TerminalScreen("en")
    screen.thinking()
    screen.converting(done, 4)
    screen.reply(said("hi", show=False), SECONDS)
    assert shown in out.getvalue()


@pytest.mark.parametrize(("show", "shown"), [(True, "So: ``` x ``` 😊\n"), (False, "So: ``` x ```\n")])
def test_a_reply_with_its_mood_is_one_line(show: bool, shown: str) -> None:  # noqa: FBT001  a table of facts
    """A pipe gets one line for a reply, with its mood if that is shown."""
    out = StringIO()
    LineScreen(out).reply(said(CODE, show=show), SECONDS)
    assert out.getvalue() == shown
