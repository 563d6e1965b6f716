import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bots.fake_hub import HubModel, fake_hub
from tests.bots.fake_modelscope import fake_modelscope
from tests.bots.tiny_gguf import tiny_gguf
from tests.bots.tiny_model import TINY_FILES, write_tiny_model
from tests.fakes.proxies import http_proxy, socks_proxy

Parley = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def parley(tmp_path: Path) -> Parley:
    """Runs the command in a temporary folder."""

    def run(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-P", "-m", "bots", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(Path.cwd()), **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_a_good_set_up_is_described(parley: Parley, tmp_path: Path) -> None:
    """`parley check` prints one line per item and exits with 0."""
    (tmp_path / "parley.toml").write_text(f'[engine]\nmodel = "{write_tiny_model(tmp_path / "model")}"')
    done = parley("check")
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == [
        "chat.persona",
        "chat.locale",
        "data_dir",
        "knowledge.folder",
        "store.url",
        "engine.model",
        "network.proxy",
        "telegram",
        "slack",
        "access.allow",
        "handoff.where",
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[engine]\nmodle = 1", "parley: engine.modle: is not a setting (other.toml); did you mean engine.model?\n"),
        ('[chat]\npersona = "nobody"', "parley: chat.persona: nobody: No such file or directory\n"),
        ('"a\\nb" = 1', "parley: a b: is not a setting (other.toml)\n"),
    ],
)
def test_a_bad_setting_ends_with_one_line(parley: Parley, tmp_path: Path, text: str, line: str) -> None:
    """A configuration error is one line on stderr and exit status 78, without a traceback."""
    (tmp_path / "other.toml").write_text(text)
    done = parley("check", "--config", "other.toml")
    assert (done.returncode, done.stdout, done.stderr) == (78, "", line)


@pytest.mark.parametrize("command", ["chat", "mood", "serve-model", "check"])
def test_a_missing_model_ends_with_one_line(parley: Parley, tmp_path: Path, command: str) -> None:
    """A missing model ends the start with one line that says how to get it."""
    done = parley(command, PARLEY_ENGINE__MODEL="nobody/there", PARLEY_DATA_DIR=str(tmp_path / "data"))
    assert (done.returncode, done.stdout) == (78, "")
    [line] = done.stderr.splitlines()
    assert "run `parley model pull nobody/there`" in line


def test_serve_model_has_the_servers_help(parley: Parley) -> None:
    """`parley serve-model --help` prints the model server's own help, after that of --workers."""
    done = parley("serve-model", "--help")
    assert done.returncode == 0
    assert 0 < done.stdout.index("--workers") < done.stdout.index("--uds")


def test_a_pull_that_fails_is_one_line(parley: Parley, tmp_path: Path) -> None:
    """`parley model pull` refuses an invalid id in one line, even beside a foreign folder named `bots`."""
    (tmp_path / "bots").mkdir()
    (tmp_path / "bots" / "__init__.py").write_text("raise SystemExit('not Parley')")
    done = parley("model", "pull", "tiny")
    assert done.returncode == 78
    assert done.stderr == "parley: tiny: is not an id such as Qwen/Qwen2.5-0.5B-Instruct\n"


TINY = HubModel(id="org/tiny", files=TINY_FILES)


@pytest.mark.parametrize("option", ["--endpoint", "HF_ENDPOINT"])
def test_a_mirror_can_be_named(parley: Parley, tmp_path: Path, option: str) -> None:
    """`--endpoint` and HF_ENDPOINT name a mirror of Hugging Face."""
    with fake_hub(TINY) as endpoint:
        arguments, variables = ((option, endpoint), {}) if option == "--endpoint" else ((), {option: endpoint})
        done = parley("model", "pull", TINY.id, *arguments, PARLEY_DATA_DIR=str(tmp_path / "data"), **variables)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("To use it, set engine.model = 'org/tiny' in parley.toml.\n")


def test_modelscope_and_a_file_can_be_chosen(parley: Parley, tmp_path: Path) -> None:
    """`--source modelscope --file NAME.gguf` pulls that file from ModelScope, and prints the name to configure."""
    model = HubModel(id="org/tiny-GGUF", files={"tiny.gguf": tiny_gguf(tmp_path)})
    with fake_modelscope(model) as (endpoint, _):
        options = ("--source", "modelscope", "--endpoint", endpoint, "--file", "tiny.gguf")
        done = parley("model", "pull", model.id, *options, PARLEY_DATA_DIR=str(tmp_path / "data"))
    assert done.returncode == 0, done.stderr
    assert "engine.model = 'org/tiny-GGUF/tiny.gguf'" in done.stdout


@pytest.mark.parametrize("scheme", ["http", "socks5"])
@pytest.mark.parametrize("source", ["huggingface", "modelscope"])
async def test_models_come_through_the_proxy(parley: Parley, tmp_path: Path, source: str, scheme: str) -> None:
    """network.proxy leads to either hub, whose name the proxy alone knows."""
    opening = fake_hub(TINY) if source == "huggingface" else fake_modelscope(TINY)
    kind = socks_proxy if scheme == "socks5" else http_proxy
    async with kind("ann:canary") as proxy:
        with opening as found:
            port = (found if isinstance(found, str) else found[0]).rpartition(":")[2]
            options = ("--source", source, "--endpoint", f"http://hub.test:{port}")
            variables = {"PARLEY_NETWORK__PROXY": f"{scheme}://ann:canary@127.0.0.1:{proxy.port}"}
            variables["PARLEY_DATA_DIR"] = str(tmp_path / "data")
            done = await asyncio.to_thread(parley, "model", "pull", TINY.id, *options, **variables)
    assert done.returncode == 0, done.stderr
    assert f"hub.test:{port}" in proxy.asked
    assert "canary" not in done.stdout + done.stderr


def test_a_proxy_that_refuses_ends_with_one_line(parley: Parley, tmp_path: Path) -> None:
    """A platform behind a proxy that is down is one line and exit status 78, without the proxy's password."""
    done = parley(
        "check",
        PARLEY_NETWORK__PROXY="http://ann:canary@127.0.0.1:9",
        PARLEY_SLACK__BOT_TOKEN="x",
        PARLEY_SLACK__APP_TOKEN="x",
        PARLEY_DATA_DIR=str(tmp_path / "data"),
    )
    line = "parley: network.proxy: the proxy does not connect\n"
    assert (done.returncode, done.stdout, done.stderr) == (78, "", line)


@pytest.mark.parametrize("module", ["bots.cli", "bots.check"])
def test_the_gateway_is_light(module: str) -> None:
    """The gateway imports neither torch nor transformers nor the hub's client."""
    heavy = "{'torch', 'transformers', 'huggingface_hub'}"
    script = f"import sys, {module}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
