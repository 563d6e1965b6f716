import asyncio
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from shutil import copytree, ignore_patterns

import pytest

from bots.check import CHECKS, check_all
from config.load import load_settings
from config.settings import Settings
from core.engine.scripted import ScriptedEngine
from core.errors import ConfigError
from core.inference.checkpoint.opening import open_checkpoint
from core.inference.choice import choose, remember
from core.inference.weights.store import quantised_folder
from core.models import MANIFEST, find_model
from core.store import open_store
from tests.bots.tiny_gguf import tiny_gguf
from tests.bots.tiny_model import write_tiny_model
from tests.core.engine.fake_server import FakeServer, chat_server, serving
from tests.core.inference.tiny import shape_of


@pytest.fixture
def options(tmp_path: Path) -> dict[str, str]:
    """The settings of a working bot."""
    return {
        "PARLEY_ENGINE__MODEL": str(write_tiny_model(tmp_path / "model")),
        "PARLEY_DATA_DIR": str(tmp_path / "data"),
        "PARLEY_ENGINE__THREADS": "3",
    }


def _settings(monkeypatch: pytest.MonkeyPatch, options: Mapping[str, str], **others: str) -> Settings:
    for name, value in {**options, **others}.items():
        monkeypatch.setenv(name, value)
    return load_settings()


def _found(settings: Settings) -> dict[str, str]:
    return {finding.key: finding.text for finding in check_all(settings)}


def test_reports_a_working_bot(monkeypatch: pytest.MonkeyPatch, options: dict[str, str]) -> None:
    """`check` reports persona, language, folder, store and model of a working bot."""
    found = _found(_settings(monkeypatch, options))
    assert found["chat.persona"] == "Parley"
    assert found["chat.locale"] == "each person's own language"
    assert found["data_dir"] == f"{options['PARLEY_DATA_DIR']} (made on first use)"
    assert found["store.url"] == f"{options['PARLEY_DATA_DIR']}/parley.db (made on first use)"
    assert "dtype auto, kv_dtype auto, 3 threads" in found["engine.model"]


def test_names_the_kernels(monkeypatch: pytest.MonkeyPatch, options: dict[str, str]) -> None:
    """`check` names the kernels of this processor, the fallback without a compiler, or an unknown architecture."""
    assert "(no lean decoder" in _found(_settings(monkeypatch, options))["engine.model"]
    settings = _settings(monkeypatch, options, PARLEY_ENGINE__MODEL="mini")
    assert " kernels, dtype int8 (it has fewer than" in _found(settings)["engine.model"]
    monkeypatch.setenv("CC", "no-such-compiler")
    found = _found(settings)["engine.model"]
    assert "transformers, several times slower" in found
    assert "no-such-compiler" in found


def _write_zeros(path: Path, count: int) -> None:
    """A file of one tensor, which takes no room on the disk."""
    header = json.dumps({"zeros": {"dtype": "I8", "shape": [count], "data_offsets": [0, count]}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    os.truncate(path, 8 + len(header) + count)


def test_says_what_auto_comes_to(monkeypatch: pytest.MonkeyPatch, options: dict[str, str], tmp_path: Path) -> None:
    """Of a large model, that it is measured at the first start, and then what was measured."""
    folder = copytree(find_model("mini", tmp_path), tmp_path / "large", ignore=ignore_patterns(MANIFEST))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"vocab_size": 4_000_000}))
    _write_zeros(folder / "model.safetensors", count=4_100_000 * config["hidden_size"])
    settings = _settings(monkeypatch, options, PARLEY_ENGINE__MODEL=str(folder))
    assert (
        "dtype int4 or int8 (measured at the first start), kv_dtype auto, 3 threads" in _found(settings)["engine.model"]
    )
    keep, checkpoint = quantised_folder(settings.data_dir), open_checkpoint(folder)
    keep.mkdir(parents=True)
    remember(choose(0.02), checkpoint, shape_of(folder), keep)
    assert "dtype int4 (int4 diverges from int8 by 0.020 nats" in _found(settings)["engine.model"]


def test_a_model_that_needs_transformers_is_refused_without(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, str]
) -> None:
    """`check` names what is not installed, for a model of another family and for one without kernels."""
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ConfigError, match=r"^engine\.model: .* transformers would be needed: install"):
        _found(_settings(monkeypatch, options))
    settings = _settings(monkeypatch, options, PARLEY_ENGINE__MODEL="mini")
    assert " kernels, dtype int8 (it has fewer than" in _found(settings)["engine.model"]
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(ConfigError, match=r"^engine\.model: .*there are no kernels"):
        _found(settings)


def test_a_check_creates_nothing(monkeypatch: pytest.MonkeyPatch, options: dict[str, str]) -> None:
    """`check` creates neither a folder nor a database."""
    settings = _settings(monkeypatch, options)
    _found(settings)
    assert not settings.data_dir.exists()


async def test_a_store_that_exists_is_opened(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, str], tmp_path: Path
) -> None:
    """An intact database passes the check."""
    settings = _settings(monkeypatch, options, PARLEY_STORE__URL=f"sqlite:///{tmp_path}/kept.db")
    async with open_store(settings.store_url):
        pass
    found = await asyncio.to_thread(_found, settings)
    assert found["store.url"] == f"{tmp_path}/kept.db"


def test_a_damaged_store_is_named(monkeypatch: pytest.MonkeyPatch, options: dict[str, str], tmp_path: Path) -> None:
    """A file that is not a database is reported and not changed."""
    (tmp_path / "kept.db").write_bytes(b"no database" * 1000)
    settings = _settings(monkeypatch, options, PARLEY_STORE__URL=f"sqlite:///{tmp_path}/kept.db")
    with pytest.raises(ConfigError, match=r"^store\.url: .*not a database"):
        _found(settings)
    assert (tmp_path / "kept.db").read_bytes() == b"no database" * 1000


@pytest.mark.parametrize(
    ("variable", "value", "line"),
    [
        ("PARLEY_CHAT__PERSONA", "nobody", r"^chat\.persona: nobody: No such file"),
        ("PARLEY_ENGINE__MODEL", "org/unknown", r"^engine\.model: .*run `parley model pull org/unknown`"),
        ("PARLEY_ENGINE__MODEL", "/nowhere", r"^engine\.model: /nowhere: there is no such folder"),
        ("PARLEY_DATA_DIR", "/dev/null/data", r"^data_dir: /dev/null is not a folder"),
    ],
)
def test_the_first_fault_is_named(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, str], variable: str, value: str, line: str
) -> None:
    """An unusable value is reported with the name of its setting."""
    with pytest.raises(ConfigError, match=line):
        _found(_settings(monkeypatch, {**options, variable: value}))


def test_a_truncated_model_is_named(monkeypatch: pytest.MonkeyPatch, options: dict[str, str]) -> None:
    """Truncated weights fail the check."""
    weights = Path(options["PARLEY_ENGINE__MODEL"]) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    with pytest.raises(ConfigError, match=r"^engine\.model: .*model\.safetensors"):
        _found(_settings(monkeypatch, options))


def test_a_gguf_file_is_checked(monkeypatch: pytest.MonkeyPatch, options: dict[str, str], tmp_path: Path) -> None:
    """`check` opens a GGUF file, so that one without a tokenizer is named before the bot starts."""
    file = tmp_path / "tiny.gguf"
    file.write_bytes(tiny_gguf(tmp_path))
    settings = _settings(monkeypatch, options, PARLEY_ENGINE__MODEL=str(file))
    with pytest.raises(ConfigError, match=r"^engine\.model: .*tiny\.gguf: "):
        _found(settings)


async def test_another_server_is_asked(monkeypatch: pytest.MonkeyPatch, options: dict[str, str]) -> None:
    """With engine.url the check requests one token from that server, with the configured key."""
    fake = FakeServer(socket_path=Path("unused"), answers=chat_server(ScriptedEngine.fixed("Hi there")))
    async with await asyncio.start_server(fake.serve, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        settings = _settings(
            monkeypatch,
            options,
            PARLEY_ENGINE__URL=url,
            PARLEY_ENGINE__MODEL="mini",
            PARLEY_ENGINE__API_KEY="canary",
        )
        found = await asyncio.to_thread(_found, settings)
        await fake.settled()
    assert found["engine.model"] == f"scripted at {url}"
    (asked,) = fake.asked("/v1/chat/completions")
    assert asked.headers["authorization"] == "Bearer canary"
    assert asked.json()["max_tokens"] == 1


def test_an_unreachable_server_is_named(monkeypatch: pytest.MonkeyPatch, options: dict[str, str]) -> None:
    """An unreachable engine.url fails the check, and the message does not contain the key."""
    settings = _settings(
        monkeypatch, options, PARLEY_ENGINE__URL="http://127.0.0.1:9/v1", PARLEY_ENGINE__API_KEY="canary"
    )
    with pytest.raises(ConfigError, match=r"^engine\.url: no good answer") as refused:
        _found(settings)
    assert "canary" not in str(refused.value)


async def test_several_servers_are_asked(monkeypatch: pytest.MonkeyPatch, options: dict[str, str]) -> None:
    """Each server is asked and listed. One that does not answer fails the check by its name, unless it is drained."""
    async with serving(ScriptedEngine.fixed("Hi")) as one, serving(ScriptedEngine.fixed("Hi")) as other:
        servers = f"{one}, {other} weight=2, http://127.0.0.1:9/v1 weight=0"
        settings = _settings(monkeypatch, options, PARLEY_ENGINE__URL=servers, PARLEY_ENGINE__MODEL="mini")
        why = "no good answer from 127.0.0.1:9: ClientConnectorError"
        listed = f"{one}, {other} weight=2, http://127.0.0.1:9/v1 weight=0 ({why})"
        assert (await asyncio.to_thread(_found, settings))["engine.model"] == f"scripted at {listed}"
        settings = _settings(monkeypatch, options, PARLEY_ENGINE__URL=f"{one},http://127.0.0.1:9/v1")
        with pytest.raises(ConfigError, match=r"^engine\.url: no good answer from 127\.0\.0\.1:9"):
            await asyncio.to_thread(_found, settings)


async def test_servers_of_different_models_are_refused(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, str]
) -> None:
    """Servers that share conversations must serve one model; the check says which one serves what."""
    newer = ScriptedEngine.fixed("Hi")
    newer.name = "newer"
    async with serving(ScriptedEngine.fixed("Hi")) as one, serving(newer) as other:
        variables = {"PARLEY_ENGINE__URL": f"{one},{other}", "PARLEY_ENGINE__MODEL": "mini"}
        settings = _settings(monkeypatch, options, **variables)
        with pytest.raises(ConfigError, match=r"different models: scripted at 127.*, newer at 127"):
            await asyncio.to_thread(_found, settings)


def test_the_proxy_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch, options: dict[str, str]) -> None:
    """`check` names the proxy to the platforms, and whether the setting or the environment gives it."""
    proxy = "socks5://ann:canary@proxy.test:1080"
    found = _found(_settings(monkeypatch, options, PARLEY_NETWORK__PROXY=proxy))
    assert found["network.proxy"] == "socks5://proxy.test:1080 (network.proxy)"
    variables = {"HTTPS_PROXY": "http://ann:canary@other.test:3128", "NO_PROXY": "slack.com"}
    found = _found(_settings(monkeypatch, options, PARLEY_NETWORK__PROXY="", **variables))
    assert found["network.proxy"] == "http://other.test:3128 (HTTPS_PROXY), none"


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({}, "is on slack, where the bot is off"),
        ({"PARLEY_TELEGRAM__TOKEN": "1:x", "PARLEY_HANDOFF__WHERE": "telegram:-1001"}, "nobody could take"),
    ],
)
def test_a_help_desk_that_cannot_work_is_reported(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, str], more: dict[str, str], reason: str
) -> None:
    """A place without a bot, or without operators, is a bad setting."""
    settings = _settings(monkeypatch, options, **{"PARLEY_HANDOFF__WHERE": "slack:T1:C1", **more})
    with pytest.raises(ConfigError, match=reason):
        CHECKS["handoff.where"](settings)


def test_a_help_desk_is_described(monkeypatch: pytest.MonkeyPatch, options: dict[str, str]) -> None:
    """`check` says where people work and who they are; it is off by default."""
    assert CHECKS["handoff.where"](_settings(monkeypatch, options)) == "off"
    desk = {"PARLEY_HANDOFF__WHERE": "telegram:-1001", "PARLEY_HANDOFF__OPERATORS": "telegram:7"}
    settings = _settings(monkeypatch, options, PARLEY_TELEGRAM__TOKEN="1:x", **desk)
    assert CHECKS["handoff.where"](settings) == "telegram -1001, operators: telegram:7"
