"""Every option of Parley with its default and its range; `config/default.toml` says what each one means."""

import re
from pathlib import Path
from typing import Annotated, Literal, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

PREFIX = "PARLEY_"
WEBHOOK_SECRET = re.compile(r"[A-Za-z0-9_-]{0,256}")
"""What Telegram sends back in a header; it refuses others."""
SECTION = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)


def _base_url(url: str) -> str:
    parts = urlsplit(url)
    if not url:
        return url
    if parts.scheme not in {"http", "https"} or not parts.hostname or not parts.path.rstrip("/").endswith("/v1"):
        raise ValueError("should be a base URL like http://127.0.0.1:8000/v1")
    if parts.port == 0 or parts.query or parts.fragment:
        raise ValueError("should end in /v1")
    if parts.username is not None or parts.password is not None:
        raise ValueError("should hold no secret; the key has its own setting, engine.api_key")
    return url.rstrip("/")


def _server_url(url: str) -> str:
    parts = urlsplit(url)
    if url and (parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment):
        raise ValueError("should be a URL like https://host")
    return url.rstrip("/")


def _webhook_secret(secret: SecretStr) -> SecretStr:
    if not WEBHOOK_SECRET.fullmatch(secret.get_secret_value()):
        raise ValueError("should be up to 256 letters, digits, _ and -")
    return secret


def _store_url(url: str) -> str:
    if url and not url.startswith("sqlite:///"):
        raise ValueError("should be sqlite:///PATH")
    return url


def _folder(path: Path) -> Path:
    try:
        return path.expanduser().absolute()
    except RuntimeError as error:
        raise ValueError("there is no home folder to expand ~ to") from error


def _names(value: object) -> object:
    return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value


Count: TypeAlias = Annotated[int, Field(ge=1, le=1_000_000_000)]
Seconds: TypeAlias = Annotated[float, Field(gt=0, le=31_536_000)]
Names: TypeAlias = Annotated[tuple[str, ...], BeforeValidator(_names)]


class EngineSettings(BaseModel):
    """Which model thinks, and where."""

    model_config = SECTION
    model: Annotated[str, Field(min_length=1)] = "mini"
    url: Annotated[str, AfterValidator(_base_url)] = ""
    api_key: SecretStr = SecretStr("")
    threads: Annotated[int, Field(ge=0, le=1024)] = 0
    max_batch: Annotated[int, Field(ge=1, le=256)] = 8
    dtype: Literal["auto", "int8", "bf16", "fp32"] = "auto"
    cache_bytes: Annotated[int, Field(ge=1 << 20)] = 512 << 20


class StoreSettings(BaseModel):
    """Where messages, histories and answers are kept."""

    model_config = SECTION
    url: Annotated[str, AfterValidator(_store_url)] = ""


class ChatSettings(BaseModel):
    """Who the bot is and how long it may read, write and think."""

    model_config = SECTION
    persona: Annotated[str, Field(min_length=1)] = "parley"
    max_input_tokens: Count = 512
    max_reply_tokens: Count = 256
    idle_timeout: Seconds = 30
    total_timeout: Seconds = 120
    locale: Literal["auto", "en", "zh"] = "auto"


class LimitSettings(BaseModel):
    """How much one person may ask for."""

    model_config = SECTION
    per_minute: Count = 10
    burst: Count = 5
    max_wait: Seconds = 120
    max_bytes: Count = 16384
    max_queued: Count = 2
    exempt: Names = ("console",)


class CacheSettings(BaseModel):
    """The memory of frequent questions."""

    model_config = SECTION
    size: Count = 1024
    ttl: Seconds = 86400


class HistorySettings(BaseModel):
    """How much of a conversation the model is shown, and whose words."""

    model_config = SECTION
    max_tokens: Annotated[int, Field(ge=0, le=1_000_000)] = 1024
    scope: Literal["person", "conversation"] = "person"


class TelegramSettings(BaseModel):
    """The bot on Telegram; off without a token."""

    model_config = SECTION
    token: SecretStr = SecretStr("")
    base_url: Annotated[str, AfterValidator(_server_url)] = "https://api.telegram.org"
    mode: Literal["polling", "webhook"] = "polling"
    webhook_url: Annotated[str, AfterValidator(_server_url)] = ""
    webhook_secret: Annotated[SecretStr, AfterValidator(_webhook_secret)] = SecretStr("")
    groups: Literal["mention", "all", "off"] = "mention"


class SlackSettings(BaseModel):
    """The bot on Slack; off without a bot token. Socket Mode with an app token, HTTP with a signing secret."""

    model_config = SECTION
    bot_token: SecretStr = SecretStr("")
    app_token: SecretStr = SecretStr("")
    signing_secret: SecretStr = SecretStr("")
    base_url: Annotated[str, AfterValidator(_server_url)] = "https://slack.com/api"


class WebSettings(BaseModel):
    """Where webhooks arrive and health is asked for."""

    model_config = SECTION
    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080


class AccessSettings(BaseModel):
    """Who may talk to the bot, and who may see everybody's totals: "telegram:123", "slack:U123", "slack:*"."""

    model_config = SECTION
    allow: Names = ()
    admins: Names = ()


class Settings(BaseSettings):
    """All options. Made by `config.load.load_settings`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        enable_decoding=False,  # a list is "a,b" in the environment, not JSON
        extra="forbid",
        frozen=True,
        validate_default=True,
    )
    data_dir: Annotated[Path, AfterValidator(_folder)] = Path("~/.local/share/parley")
    log_level: Literal["auto", "debug", "info", "warning", "error"] = "auto"
    engine: EngineSettings = EngineSettings()
    store: StoreSettings = StoreSettings()
    chat: ChatSettings = ChatSettings()
    limits: LimitSettings = LimitSettings()
    cache: CacheSettings = CacheSettings()
    history: HistorySettings = HistorySettings()
    telegram: TelegramSettings = TelegramSettings()
    slack: SlackSettings = SlackSettings()
    web: WebSettings = WebSettings()
    access: AccessSettings = AccessSettings()

    @property
    def store_url(self) -> str:
        """The store's address: the one configured, or a file in the data folder."""
        return self.store.url or f"sqlite:///{self.data_dir}/parley.db"

    @property
    def store_path(self) -> Path:
        """The store's file."""
        return Path(self.store_url.removeprefix("sqlite:///"))

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  the signature is the library's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment goes before the file, whose values are what the constructor is given."""
        return env_settings, init_settings
