"""`parley init`, with a person's answers, the fake platforms and a fake hub. One test runs it in a terminal."""

import asyncio
import os
import pty
import stat
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bots.hubs.hub import Hub
from bots.hubs.huggingface import HuggingFace
from bots.init import set_up
from bots.interview import Interview
from config.load import environment_settings
from core.engine.scripted import ScriptedEngine
from core.errors import ConfigError
from core.messages import Locale
from tests.bots.fake_hub import HubModel, fake_hub
from tests.bots.tiny_model import TINY_FILES, write_tiny_model
from tests.core.engine.fake_server import FakeServer, chat_server
from tests.fakes.slack.client import FakeSlack
from tests.fakes.slack.workspace import APP_TOKEN, BOT_TOKEN
from tests.fakes.telegram.control import Account

PROMPT = b"(not shown): "
"""What is shown once the terminal has stopped to show what is typed."""
NO_HUB = HuggingFace("http://127.0.0.1:9")


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that is written, beside a data folder and a model that can be checked at once."""
    monkeypatch.setenv("PARLEY_DATA_DIR", str(tmp_path / "data"))
    write_tiny_model(tmp_path / "model")
    return tmp_path / "parley.toml"


def _interview(
    file: Path,
    *lines: str,
    given: Mapping[str, str] | None = None,
    locale: Locale = "en",
    always_yes: bool = False,
    hub: Hub = NO_HUB,
) -> str:
    """What is shown to a person who answers with these lines."""
    asked = Interview(given or {}, locale, attending=bool(lines), always_yes=always_yes)
    with CliRunner().isolation(input="".join(f"{line}\n" for line in lines)) as (out, *_):
        set_up(asked, environment_settings(), file, hub)
        return out.getvalue().decode()


def _written(file: Path) -> dict[str, dict[str, str]]:
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    return tomllib.loads(file.read_text("utf-8"))


async def test_a_token_is_checked_and_written(file: Path, account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong token gets one line and may be entered again; the file holds what was chosen, for its owner alone."""
    monkeypatch.setenv("PARLEY_TELEGRAM__BASE_URL", account.base_url)
    model = str(file.parent / "model")
    shown = await asyncio.to_thread(_interview, file, "1:wrong", account.token, "", model)
    assert shown.count("Telegram does not accept this token") == 1
    assert f"✓ telegram: @{account.username}" in shown
    assert account.token not in shown
    assert shown.splitlines()[-1].startswith("Next: parley run")
    assert _written(file) == {"telegram": {"token": account.token}, "engine": {"model": model}}


@pytest.mark.parametrize("wrong", [("xoxb-wrong", APP_TOKEN), (BOT_TOKEN, "xapp-wrong")])
async def test_both_tokens_of_slack_are_checked(
    file: Path, slack: FakeSlack, monkeypatch: pytest.MonkeyPatch, wrong: tuple[str, str]
) -> None:
    """Either token of Slack may be wrong, and both are entered again."""
    monkeypatch.setenv("PARLEY_SLACK__BASE_URL", f"{slack.url}/api")
    model = str(file.parent / "model")
    shown = await asyncio.to_thread(_interview, file, "", *wrong, BOT_TOKEN, APP_TOKEN, model)
    assert shown.count("Slack does not accept this token") == 1
    assert "✓ slack: UBOT in T1" in shown
    assert _written(file)["slack"] == {"bot_token": BOT_TOKEN, "app_token": APP_TOKEN}


def test_everything_can_be_skipped(file: Path) -> None:
    """Enter alone chooses the model that comes with Parley, and a chat is the next step."""
    shown = _interview(file, "", BOT_TOKEN, "", str(file.parent / "model"))
    assert "Slack needs both tokens" in shown
    assert shown.splitlines()[-1] == "Next: parley chat"
    assert _written(file) == {"engine": {"model": str(file.parent / "model")}}


def test_a_person_is_asked_in_their_language(file: Path) -> None:
    """The questions are in Chinese on a Chinese terminal."""
    shown = _interview(file, "", "", str(file.parent / "model"), locale="zh")
    assert "Telegram：@BotFather 给的令牌" in shown
    assert shown.splitlines()[-1] == "下一步：parley chat"


def test_a_file_is_replaced_only_after_a_yes(file: Path) -> None:
    """A no, or nobody to ask, leaves the file as it is; a yes replaces it."""
    file.write_text("# mine")
    model = {"engine.model": str(file.parent / "model")}
    for lines in [("n",), ()]:
        with pytest.raises(ConfigError, match="stays as it is"):
            _interview(file, *lines, given=model)
    assert file.read_text() == "# mine"
    _interview(file, "y", "", "", given=model)
    assert _written(file) == {"engine": {"model": model["engine.model"]}}
    _interview(file, given=model, always_yes=True)


def test_a_model_that_is_not_there_may_be_named_again(file: Path) -> None:
    """An unusable model gets one line, and is asked for again."""
    shown = _interview(file, "", "", "/nowhere", str(file.parent / "model"))
    assert shown.count("✗ That does not work: engine.model: /nowhere: there is no such folder") == 1
    assert _written(file)["engine"]["model"] == str(file.parent / "model")


def test_a_model_is_downloaded_after_a_yes(file: Path) -> None:
    """A name on a hub may be downloaded at once; after a no that is the next step."""
    later = _interview(file, "", "", "org/tiny", "n")
    assert later.splitlines()[-1] == "Next: parley model pull org/tiny"
    with fake_hub(HubModel(id="org/tiny", files=TINY_FILES)) as endpoint:
        now = _interview(file, given={"engine.model": "org/tiny"}, always_yes=True, hub=HuggingFace(endpoint))
    assert now.splitlines()[-1] == "Next: parley chat"
    assert _written(file) == {"engine": {"model": "org/tiny"}}


async def test_a_server_is_asked(file: Path) -> None:
    """A URL is that of a model server, which is asked for a token with the key."""
    fake = FakeServer(socket_path=Path("unused"), answers=chat_server(ScriptedEngine.fixed("Hi there")))
    async with await asyncio.start_server(fake.serve, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        shown = await asyncio.to_thread(_interview, file, "", "", "http://127.0.0.1:9/v1", "", url, "canary")
        await fake.settled()
    assert "✗ That does not work: engine.url: no good answer" in shown
    assert f"✓ engine.model: scripted at {url}" in shown
    assert _written(file) == {"engine": {"url": url, "api_key": "canary"}}


def test_without_a_person_a_fault_ends_it(file: Path) -> None:
    """With answers from files alone, a wrong token is an error, and nothing is written."""
    with pytest.raises(ConfigError, match=r"telegram\.token: should look like"):
        _interview(file, given={"telegram.token": "wrong"}, always_yes=True)
    assert not file.exists()


def test_in_a_terminal(file: Path, tmp_path: Path) -> None:
    """In a terminal a token is not shown while it is typed, and one from a file is not asked for."""
    (tmp_path / "key").write_text("1:wrong\n")
    outer, inner = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd()), "LANG": "en_US.UTF-8", "TERM": "dumb"}
    command = [sys.executable, "-P", "-m", "bots.init", "--slack-bot-token-file", "key", "--model", "model"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdin=inner, stdout=inner, stderr=inner, start_new_session=True
    ) as process:
        os.close(inner)
        shown = _typed(outer, PROMPT, b"not-a-token-canary\n")
        shown += _typed(outer, PROMPT, b"\n")
        assert b"Try again" in shown
        shown += _typed(outer, b"app-level token, xapp-... " + PROMPT, b"\n")
        shown += _until(outer, b"Next: parley chat")
        assert process.wait() == 0
    os.close(outer)
    assert b"canary" not in shown
    assert _written(file) == {"engine": {"model": str(tmp_path / "model")}}


def _typed(terminal: int, after: bytes, line: bytes) -> bytes:
    shown = _until(terminal, after)
    os.write(terminal, line)
    return shown


def _until(terminal: int, end: bytes) -> bytes:
    shown = b""
    while end not in shown:
        shown += os.read(terminal, 1 << 12)
    return shown
