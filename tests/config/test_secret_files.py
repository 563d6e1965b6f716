import os
from pathlib import Path

import pytest

from config.load import load_settings
from config.secret_files import MAX_BYTES, file_variable
from config.settings import Settings, secret_keys, variable_of
from core.errors import ConfigError

TOKEN, TOKEN_FILE = "PARLEY_TELEGRAM__TOKEN", "PARLEY_TELEGRAM__TOKEN_FILE"
URLS = {"network.proxy": "http://canary:1", "store.url": "sqlite:///canary"}
"""Secrets of a form of their own."""


@pytest.fixture
def file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The file that the environment names for the token, with a token in it."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "token"
    path.write_text("1:canary\n")
    monkeypatch.setenv(TOKEN_FILE, str(path))
    return path


def _secret(settings: Settings, key: str) -> str:
    section, _, name = key.partition(".")
    return str(getattr(getattr(settings, section), name).get_secret_value())


def test_every_secret_is_known() -> None:
    """Whatever the settings keep from being shown is a secret; here are some of them."""
    shown = repr(load_settings())
    assert shown.count("SecretStr(") == len(list(secret_keys()))
    assert {"telegram.token", "slack.bot_token", "engine.api_key", "network.proxy"} <= set(secret_keys())


@pytest.mark.parametrize("key", [*secret_keys()])
def test_every_secret_may_stand_in_a_file(monkeypatch: pytest.MonkeyPatch, file: Path, key: str) -> None:
    """The variable with _FILE names a file; the line break at its end does not count."""
    file.write_text(URLS.get(key, "canary") + "\r\n")
    monkeypatch.delenv(TOKEN_FILE)
    monkeypatch.setenv(file_variable(variable_of(key)), str(file))
    assert _secret(load_settings(), key) == file.read_text().rstrip()


def test_a_secrets_file_overrides_the_settings_file(file: Path) -> None:
    """As part of the environment it takes precedence, and the rest of the section stays."""
    Path("parley.toml").write_text('[telegram]\ntoken = "2:old"\ngroups = "off"')
    settings = load_settings()
    assert (_secret(settings, "telegram.token"), settings.telegram.groups) == (file.read_text().strip(), "off")


def test_a_variable_in_small_letters_counts(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    """Names of variables are compared without their case, as those of the other options."""
    monkeypatch.delenv(TOKEN_FILE)
    monkeypatch.setenv(TOKEN_FILE.lower(), str(file))
    assert _secret(load_settings(), "telegram.token") == "1:canary"


def test_an_empty_variable_names_no_file(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    """An empty variable is as good as none."""
    monkeypatch.setenv(TOKEN_FILE, "")
    assert file.exists()
    assert not _secret(load_settings(), "telegram.token")


def test_a_secret_is_given_once(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    """A variable beside the file is refused, even an empty one, since it would silently win."""
    monkeypatch.setenv(TOKEN, "")
    _refused(file, f"{TOKEN} is set too")


def _refused(file: Path, reason: str) -> None:
    """Loading ends in one line with the variable and the reason, without the secret."""
    assert file.parent.exists()
    with pytest.raises(ConfigError) as refused:
        load_settings()
    assert refused.value.key == TOKEN_FILE
    assert reason in refused.value.reason
    assert "canary" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_missing_file_is_refused(file: Path) -> None:
    """The file must be there: the bot does not start without the platform instead."""
    file.unlink()
    _refused(file, f"{file}: No such file or directory")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_refused(file: Path) -> None:
    """The file must be readable."""
    file.chmod(0)
    _refused(file, f"{file}: Permission denied")


def test_a_file_that_everybody_may_change_is_refused(file: Path) -> None:
    """Others may read it, as in containers, but not change it."""
    file.chmod(0o444)
    assert load_settings()
    file.chmod(0o646)
    _refused(file, f"{file}: everybody may change it")


def test_a_folder_is_no_secret(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    """A folder has no secret; containers make one where a file to be mounted is missing."""
    monkeypatch.setenv(TOKEN_FILE, str(file.parent))
    with pytest.raises(ConfigError, match="Is a directory"):
        load_settings()


def test_a_pipe_does_not_block_the_start(file: Path) -> None:
    """A named pipe that nobody writes to is refused at once."""
    file.unlink()
    os.mkfifo(file)
    _refused(file, "is not a file")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "in one line"),
        (b"\n", "in one line"),
        (b"canary\nsecond\n", "in one line"),
        (b"can\x00ary", "in one line"),
        (b"canary\xff", "is not UTF-8"),
        (b"c" * (MAX_BYTES + 1), "is too large"),
    ],
)
def test_what_is_no_secret_is_refused(file: Path, content: bytes, reason: str) -> None:
    """The file holds the secret alone."""
    file.write_bytes(content)
    _refused(file, reason)


def test_an_invalid_secret_is_named_by_its_variable(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    """If the option's own check refuses the secret, the line names the variable of the file."""
    monkeypatch.delenv(TOKEN_FILE)
    monkeypatch.setenv("PARLEY_TELEGRAM__WEBHOOK_SECRET_FILE", str(file))
    with pytest.raises(ConfigError, match=r"^PARLEY_TELEGRAM__WEBHOOK_SECRET_FILE: should be up to 256"):
        load_settings()


def test_only_secrets_have_files(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    """Another option's variable with _FILE is unknown, and a typo gets a hint."""
    monkeypatch.delenv(TOKEN_FILE)
    monkeypatch.setenv("PARLEY_ENGINE__MODEL_FILE", str(file))
    with pytest.raises(ConfigError, match="PARLEY_ENGINE__MODEL_FILE: is not a setting"):
        load_settings()
    monkeypatch.delenv("PARLEY_ENGINE__MODEL_FILE")
    monkeypatch.setenv("PARLEY_TELEGRAM__TOKN_FILE", str(file))
    with pytest.raises(ConfigError, match=f"did you mean {TOKEN_FILE}"):
        load_settings()
