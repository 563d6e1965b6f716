"""`parley run` as a process: both platforms and a model server on real sockets."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from starlette.routing import BaseRoute
from structlog.testing import capture_logs

from bots.fronts import Health
from bots.run import taking_in
from core.admission import Admission
from core.clock import ManualClock
from core.delivery import Delivery
from core.engine.scripted import ScriptedEngine
from core.errors import ConfigError
from core.store import Store, open_store
from tests.core.engine.fake_server import serving
from tests.fakes.slack.client import FakeSlack
from tests.fakes.slack.workspace import APP_TOKEN, BOT_TOKEN
from tests.fakes.telegram.control import Account, run_telegram, shown
from tests.options import limits_with
from tests.ports import free_port


@pytest.fixture(scope="module")
def telegram_address() -> Iterator[str]:
    with run_telegram() as address:
        yield address


class Operator:
    """Runs `parley` with one set of environment variables."""

    def __init__(self, folder: Path, **variables: str) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.port = free_port()
        self.variables = {
            "PARLEY_DATA_DIR": str(folder / "data"),
            "PARLEY_WEB__PORT": str(self.port),
            "PARLEY_ACCESS__ALLOW": "telegram:*,slack:*",
            **variables,
        }

    async def start(self, *command: str, **more: str) -> asyncio.subprocess.Process:
        return await self.start_python("-m", "bots", *command, **more)

    async def start_python(self, *arguments: str, **more: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(Path.cwd()), **self.variables, **more},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def run(self, *command: str, **more: str) -> tuple[int | None, str, str]:
        process = await self.start(*command, **more)
        out, errors = await process.communicate()
        return process.returncode, out.decode(), errors.decode()


def on_telegram(account: Account) -> dict[str, str]:
    return {"PARLEY_TELEGRAM__TOKEN": account.token, "PARLEY_TELEGRAM__BASE_URL": account.base_url}


def on_slack(slack: FakeSlack) -> dict[str, str]:
    return {
        "PARLEY_SLACK__BOT_TOKEN": BOT_TOKEN,
        "PARLEY_SLACK__APP_TOKEN": APP_TOKEN,
        "PARLEY_SLACK__BASE_URL": f"{slack.url}/api",
    }


def heaps_of_threads(pid: int) -> list[str]:
    """The heaps that glibc has made for threads: each reserves 64 MiB of addresses at a multiple of that."""
    maps = Path(f"/proc/{pid}/maps").read_text("ascii").splitlines()
    return [one for one in maps if " ---p " in one and int(one.split()[0].partition("-")[2], 16) % (64 << 20) == 0]


async def test_one_process_talks_on_both_platforms(tmp_path: Path, account: Account, slack: FakeSlack) -> None:
    """One process answers on Telegram and Slack, lists its platforms, reports ready, and drains on SIGTERM. Its threads
    share one heap.
    """
    async with serving(ScriptedEngine.fixed("at your service")) as url:
        operator = Operator(tmp_path, PARLEY_ENGINE__URL=url, **on_telegram(account), **on_slack(slack))
        process = await operator.start("run")
        assert process.stdout is not None
        announced = (await process.stdout.readline()).decode()
        await slack.until(lambda state: state.sockets > 0)
        await account.say("hello there")
        await slack.say("hello there")
        await account.until(lambda journal: any("at your service" in str(entry) for entry in shown(journal)))
        await slack.until(lambda state: any("at your service" in bubble["text"] for bubble in state.bubbles()))
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{operator.port}") as client:
            ready = await client.get("/ready")
        heaps = heaps_of_threads(process.pid) if sys.platform == "linux" else []
        process.send_signal(signal.SIGTERM)
        _, errors = await process.communicate()
    assert "telegram, slack" in announced
    assert heaps == []
    assert ready.json()["platforms"].keys() == {"telegram", "slack"}
    assert ready.status_code == 200, ready.text
    assert process.returncode == 0, errors.decode()
    assert account.token not in errors.decode()
    assert "hello there" not in errors.decode()


async def test_at_debug_no_library_logs_words_or_tokens(tmp_path: Path, account: Account, slack: FakeSlack) -> None:
    """With every logger at debug and asyncio's debug mode, the log has neither messages, answers nor tokens."""
    async with serving(ScriptedEngine.fixed("a canary that answers")) as url:
        operator = Operator(tmp_path, PARLEY_ENGINE__URL=url, **on_telegram(account), **on_slack(slack))
        process = await operator.start("run", PARLEY_LOG_LEVEL="debug", PYTHONASYNCIODEBUG="1")
        assert process.stdout is not None
        await process.stdout.readline()
        await slack.until(lambda state: state.sockets > 0)
        await account.say("a canary that asks")
        await slack.say("a canary that asks")
        await account.until(lambda journal: any("that answers" in str(entry) for entry in shown(journal)))
        await slack.until(lambda state: any("that answers" in bubble["text"] for bubble in state.bubbles()))
        process.send_signal(signal.SIGTERM)
        _, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    assert '"level": "info"' in errors.decode()
    for secret in ("canary", account.token, BOT_TOKEN, APP_TOKEN):
        assert secret not in errors.decode()


async def test_what_is_loaded_is_not_looked_through_again(tmp_path: Path, account: Account) -> None:
    """Garbage collections leave out what was loaded before the first message."""
    script = "import atexit, bots.run, gc; atexit.register(lambda: print(gc.get_freeze_count())); bots.run.main()"
    async with serving(ScriptedEngine.fixed()) as url:
        operator = Operator(tmp_path, PARLEY_ENGINE__URL=url, **on_telegram(account))
        process = await operator.start_python("-c", script)
        assert process.stdout is not None
        await process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        frozen, errors = await process.communicate()
    assert int(frozen) > 50_000, errors.decode()


async def test_nothing_to_run_is_one_line(tmp_path: Path) -> None:
    """Without any token the program exits with one line that names the missing setting."""
    code, _, errors = await Operator(tmp_path).run("run")
    assert (code, len(errors.splitlines())) == (78, 1)
    assert "telegram.token" in errors


async def test_check_asks_the_platforms_who_we_are(tmp_path: Path, account: Account, slack: FakeSlack) -> None:
    """`parley check` prints the bot's name on each platform, or the setting at fault."""
    async with serving(ScriptedEngine.fixed("ok")) as url:
        operator = Operator(tmp_path, PARLEY_ENGINE__URL=url, **on_telegram(account), **on_slack(slack))
        code, out, errors = await operator.run("check")
        wrong = await operator.run("check", PARLEY_TELEGRAM__TOKEN="123:wrong")
    assert code == 0, errors
    assert f"@{account.username}" in out
    assert "slack" in out
    assert (wrong[0], len(wrong[2].splitlines())) == (78, 1)
    assert "telegram.token" in wrong[2]
    assert "123:wrong" not in wrong[2]


async def test_export_is_a_line_for_each_answer(tmp_path: Path, account: Account) -> None:
    """`parley export` prints each answered message as one JSON line."""
    async with serving(ScriptedEngine.fixed("at your service")) as url:
        operator = Operator(tmp_path, PARLEY_ENGINE__URL=url, **on_telegram(account))
        process = await operator.start("run")
        await account.say("hello there")
        await account.until(lambda journal: any("at your service" in str(entry) for entry in shown(journal)))
        process.send_signal(signal.SIGTERM)
        await process.communicate()
        code, out, errors = await operator.run("export")
    assert code == 0, errors
    assert '"text": "hello there"' in out
    assert len(out.splitlines()) == 1


async def test_a_backup_is_made_of_a_running_bot_and_restored_without_it(tmp_path: Path, account: Account) -> None:
    """`parley backup` works while the bot runs, `parley restore` does not, and afterwards both say what they did."""
    async with serving(ScriptedEngine.fixed("at your service")) as url:
        operator = Operator(tmp_path, PARLEY_ENGINE__URL=url, **on_telegram(account))
        process = await operator.start("run")
        await account.say("hello there")
        await account.until(lambda journal: any("at your service" in str(entry) for entry in shown(journal)))
        made = await operator.run("backup", "copy.db")
        again = await operator.run("backup", "copy.db")
        early = await operator.run("restore", "copy.db")
        process.send_signal(signal.SIGTERM)
        await process.communicate()
        done = await operator.run("restore", "copy.db")
    assert made == (0, f"{tmp_path}/data/parley.db is backed up to copy.db\n", "")
    assert again == (78, "", "parley: copy.db: exists already\n")
    assert early == (78, "", "parley: data_dir: telegram is served by another parley already\n")
    assert (done[0], done[2]) == (0, "")
    assert "is kept as" in done[1]


async def test_a_newer_database_is_one_line(tmp_path: Path) -> None:
    """A database of a newer version ends the program with one line and status 78, and stays as it is."""
    operator = Operator(tmp_path, PARLEY_TELEGRAM__TOKEN="123:abc")
    await operator.run("restore", "none.db")  # makes the data folder
    async with open_store(f"sqlite:///{tmp_path}/data/parley.db") as store:
        await store.run(lambda c: c.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'"))
        await store.run(lambda c: c.exec_driver_sql("UPDATE installation SET oldest_program = '9998'"))
    line = "parley: the database is of a newer version of parley (schema 9999)\n"
    assert await operator.run("run") == (78, "", line)


def test_the_gateway_does_without_rich() -> None:
    """Rich draws the console's terminal; the gateway neither imports that nor needs Rich to be installed."""
    script = "import sys; sys.modules['rich'] = None; import bots.run; print('bots.screens' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@dataclass(slots=True, kw_only=True, eq=False)
class Platform:
    """A front end whose platform refuses its token when the test says so."""

    platform: str
    deliveries: Mapping[str, Delivery] = field(default_factory=dict)
    refused: asyncio.Event = field(default_factory=asyncio.Event)

    def routes(self, admission: Admission) -> Sequence[BaseRoute]:
        return ()

    async def run(self, admission: Admission) -> None:
        await self.refused.wait()
        raise ConfigError(f"{self.platform}.token", "was revoked")

    def health(self) -> Health:
        return Health(connected=not self.refused.is_set(), heard_at=0.0)

    async def who(self) -> str:
        return self.platform


class Idle:
    def notify(self) -> None:
        pass

    def interrupt(self, turn_id: int) -> None:
        pass


async def test_the_last_refused_platform_ends_the_process() -> None:
    """A platform that refuses its token leaves the other one running; if that refuses its own, its error is raised."""
    first, last = Platform(platform="slack"), Platform(platform="telegram")

    async def until_both_are_refused(store: Store) -> None:
        admission = Admission(store, ManualClock(), limits_with(), Idle())
        async with taking_in([first, last], admission):
            first.refused.set()
            while not logs:
                await asyncio.sleep(0)
            last.refused.set()
            await asyncio.Event().wait()

    async with open_store("sqlite://") as store:
        with capture_logs() as logs, pytest.raises(ExceptionGroup) as caught:
            await until_both_are_refused(store)
    assert [(entry["event"], entry["platform"]) for entry in logs] == [("platform is off", "slack")]
    assert "telegram.token: was revoked" in str(caught.value.exceptions)


async def test_a_revoked_platform_is_off_and_the_other_goes_on(
    tmp_path: Path, account: Account, slack: FakeSlack
) -> None:
    """After Slack has removed the app, /ready says so, and Telegram is answered."""
    async with serving(ScriptedEngine.fixed("at your service")) as url:
        operator = Operator(tmp_path, PARLEY_ENGINE__URL=url, **on_telegram(account), **on_slack(slack))
        process = await operator.start("run")
        await slack.until(lambda state: state.sockets > 0)
        await slack.pull("fault", method="*", kind="error", error="token_revoked", times=99)
        await slack.pull("event", event={"type": "app_uninstalled"})
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{operator.port}") as client:
            while (ready := (await client.get("/ready")).json())["platforms"]["slack"]["connected"]:
                await asyncio.sleep(0)
        await account.say("hello there")
        await account.until(lambda journal: any("at your service" in str(entry) for entry in shown(journal)))
        process.send_signal(signal.SIGTERM)
        _, errors = await process.communicate()
    assert not ready["ready"]
    assert ready["platforms"]["telegram"]["connected"]
    assert process.returncode == 0, errors.decode()
    assert "slack.bot_token: Slack says token_revoked" in errors.decode()


async def test_a_revoked_platform_alone_ends_the_process(tmp_path: Path, slack: FakeSlack) -> None:
    """If the only platform has removed the app, the process ends with one line that names the setting."""
    async with serving(ScriptedEngine.fixed("at your service")) as url:
        process = await Operator(tmp_path, PARLEY_ENGINE__URL=url, **on_slack(slack)).start("run")
        await slack.until(lambda state: state.sockets > 0)
        await slack.pull("fault", method="*", kind="error", error="token_revoked", times=99)
        await slack.pull("event", event={"type": "tokens_revoked"})
        _, errors = await process.communicate()
    assert process.returncode == os.EX_CONFIG
    assert errors.decode().splitlines()[-1] == "parley: slack.bot_token: Slack says token_revoked"
