"""Every option of Parley with its type, range and default, and its description beneath it.

`config.reference` generates `config/default.toml` and the README's option table from this file.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal, Self, TypeAlias
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from config import access
from config.secret_files import with_secrets
from config.servers import checked_servers
from core.hours import Span

PREFIX = "PARLEY_"
WEBHOOK_SECRET = re.compile(r"[A-Za-z0-9_-]{0,256}")
"""The characters that Telegram accepts in the header that carries the secret."""
DESK = re.compile(r"slack:[TE][A-Z0-9]+:[CG][A-Z0-9]+|telegram:-[1-9][0-9]{0,17}")
SEVERAL_SERVERS = re.compile(
    r"(?P<scheme>[a-z+]+://)(?P<login>[^/?#]*@)?(?P<hosts>[^/?#@]*,[^/?#@]*)(?P<rest>[/?#].*)?"
)
"""A URL as libpq has it: postgresql://USER:PASSWORD@HOST1:PORT,HOST2:PORT/DATABASE."""
SQLITE, POSTGRESQL = "sqlite:///", "postgresql+psycopg"
STORE_URLS = f"should be {SQLITE}PATH or postgresql://USER:PASSWORD@HOST/DATABASE"
PROXY_SCHEMES = {"http", "https", "socks5", "socks5h"}
SECTION = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)


@dataclass(frozen=True, slots=True)
class Common:
    """Marks an option that is changed often: the README's table lists it."""


COMMON = Common()


def _server_url(url: str) -> str:
    parts = urlsplit(url)
    if url and (parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment):
        raise ValueError("should be a URL like https://host")
    return url.rstrip("/")


def proxy_url(url: str) -> str:
    """A proxy's URL. Raises ValueError, which does not quote it: it may hold a password."""
    try:
        parts = urlsplit(url)
        is_known = parts.scheme in PROXY_SCHEMES and parts.hostname and parts.port != 0
    except ValueError:
        is_known = False
    if not is_known or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("should be like http://user:password@host:3128, https://..., socks5://... or socks5h://...")
    return url.rstrip("/")


def _proxy(secret: SecretStr) -> SecretStr:
    return SecretStr(proxy_url(secret.get_secret_value())) if secret.get_secret_value() else secret


def _webhook_secret(secret: SecretStr) -> SecretStr:
    if not WEBHOOK_SECRET.fullmatch(secret.get_secret_value()):
        raise ValueError("should be up to 256 letters, digits, _ and -")
    return secret


def _store_url(secret: SecretStr) -> SecretStr:
    """The URL of a database, which is not quoted: it may hold a password."""
    url = secret.get_secret_value()
    if not url or url.startswith(SQLITE):
        return secret
    try:
        parsed = _database_url(url)
    except (ArgumentError, ValueError):
        raise ValueError(STORE_URLS) from None
    if parsed.drivername not in {"postgresql", POSTGRESQL} or not parsed.database:
        raise ValueError(STORE_URLS)
    return SecretStr(parsed.set(drivername=POSTGRESQL).render_as_string(hide_password=False))


def _database_url(url: str) -> URL:
    """The URL of a database, where several servers are parameters as SQLAlchemy has them. Raises ArgumentError."""
    if not (several := SEVERAL_SERVERS.fullmatch(url)):
        return make_url(url)
    scheme, login, hosts, rest = several.group("scheme", "login", "hosts", "rest")
    parsed = make_url(f"{scheme}{login or ''}{rest or ''}")
    return parsed.update_query_dict({"host": [host for host in hosts.split(",") if host]})


def _folder(path: Path) -> Path:
    try:
        return path.expanduser().absolute()
    except RuntimeError as error:
        raise ValueError("there is no home folder to expand ~ to") from error


def _none_if_empty(value: object) -> object:
    return None if value == "" else value


def _folder_if_set(path: Path | None) -> Path | None:
    return None if path is None else _folder(path)


def _names(value: object) -> object:
    """A list in the environment, or one entry: names with commas between them, or JSON."""
    if isinstance(value, str) and not value.lstrip().startswith("["):
        return tuple(filter(None, map(str.strip, value.split(","))))
    return _list(value)


def _list(value: object) -> object:
    """A list in the environment: JSON."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise ValueError('should be a list like ["a", "b"]') from error


def _desk(where: str) -> str:
    if where and not DESK.fullmatch(where):
        raise ValueError('should be like "slack:T0123ABCD:C0123ABCD" or "telegram:-1001234567890"')
    return where


def _hours(spans: Sequence[str]) -> Sequence[str]:
    for span in spans:
        Span.parse(span)  # says what is wrong with it
    return spans


def zone(name: str) -> tzinfo:
    """A time zone by its name. Raises ValueError."""
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(f"there is no time zone {name!r} on this machine") from None


def _zone_name(name: str) -> str:
    zone(name)
    return name


def _question(text: str) -> str:
    if text != " ".join(text.split()) or not text.isprintable():
        raise ValueError("should be one line, without spaces around it")
    return text


ORIGIN = re.compile(r"https?://[a-z0-9][a-z0-9.-]*(?::\d{1,5})?")
"""Scheme, name and port of a site, as browsers send them."""
Count: TypeAlias = Annotated[int, Field(ge=1, le=1_000_000_000)]
Seconds: TypeAlias = Annotated[float, Field(gt=0, le=31_536_000)]
Names: TypeAlias = Annotated[tuple[str, ...], BeforeValidator(_names)]
Servers: TypeAlias = Annotated[Names, AfterValidator(checked_servers)]
Question: TypeAlias = Annotated[str, Field(min_length=1, max_length=75), AfterValidator(_question)]
"""Slack allows 75 characters on its own buttons and states no limit for a prompt. Telegram, which names the question to
the person who pressed it, shows 200.
"""
Questions: TypeAlias = Annotated[tuple[Question, ...], Field(max_length=4), BeforeValidator(_list)]
"""Slack shows four prompts (docs.slack.dev/reference/methods/assistant.threads.setSuggestedPrompts)."""


def _origins(entries: Sequence[str]) -> Sequence[str]:
    if wrong := next((entry for entry in entries if not ORIGIN.fullmatch(entry)), None):
        raise ValueError(f'{wrong!r} is no origin, such as "https://www.example.com"')
    return entries


def _networks(entries: Sequence[str]) -> Sequence[str]:
    for entry in entries:
        ip_network(entry)  # says what is wrong with it
    return entries


class EngineSettings(BaseModel):
    """The model and the server that runs it."""

    model_config = SECTION
    model: Annotated[str, Field(min_length=1), COMMON] = "mini"
    """Model that writes the replies. "mini" comes with Parley; other values are the name of a model fetched by
    `parley model pull`, such as "Qwen/Qwen2.5-0.5B-Instruct", a folder, or a GGUF file. With engine.url it is the
    model's name at that server, and "mini" stands for the first model that the server lists."""
    url: Annotated[Servers, COMMON] = ()
    """Base URL of another server that speaks OpenAI chat completions, or a list of several that serve the same model.
    For example "http://127.0.0.1:8000/v1" for vLLM, llama.cpp or Ollama. Of several, each conversation stays with one
    as long as that answers; "http://10.0.0.5:8000/v1 weight=2" gets twice as many, and weight=0 none. If it is empty,
    Parley runs the model itself on this machine's CPU."""
    api_key: SecretStr = SecretStr("")
    """API key for the servers at engine.url. Prefer the environment variable PARLEY_ENGINE__API_KEY to parley.toml."""
    threads: Annotated[int, Field(ge=0, le=1024), COMMON] = 0
    """CPU threads for the model; 0 uses all cores."""
    max_batch: Annotated[int, Field(ge=1, le=256)] = 8
    """Replies generated at the same time, by each server of engine.url."""
    dtype: Literal["auto", "int8", "int4", "bf16", "fp32"] = "auto"
    """Precision of the weights: "int8", "int4", "bf16" or "fp32". If this machine has a C compiler and the model is of
    the Qwen2, Qwen3 or Llama family, "auto" is one of the first two. "int8" is close to full precision. "int4" keeps
    most of the weights in four bits: a reply that is alone is written 1.5 times as fast, but it is a little worse.
    "auto" takes it for a model of a billion weights or more if it loses little, which is measured at the first start
    and takes minutes; `parley check` shows it.
    """
    kv_dtype: Literal["auto", "fp16", "int8"] = "auto"
    """Precision of the KV cache: "fp16", or "int8", which takes three fifths of the memory of fp16 and is as fast or
    faster; replies stay as close to those in full precision. "auto" is int8. With dtype "fp32" the cache is fp32, and
    models that transformers runs have a cache of its own."""
    cache_bytes: Annotated[int, Field(ge=1 << 20)] = 512 << 20
    """Memory for the KV cache, in bytes. It holds the running conversations, and past ones until the memory is needed
    again."""
    memory_bytes: Annotated[int, Field(ge=0)] = 0
    """Bound of the model process's address space, in bytes, mapped files included; 0 derives a generous one from the
    model's files and engine.cache_bytes. Linux only."""


class StoreSettings(BaseModel):
    """The database of conversations, people and answers."""

    model_config = SECTION
    url: Annotated[SecretStr, AfterValidator(_store_url)] = SecretStr("")
    """Database URL, sqlite:///PATH or postgresql://USER:PASSWORD@HOST/DATABASE, which needs the extra postgres:
    `pip install 'psycopg[binary]'`. If it is empty, the database is parley.db in the data folder."""


class ChatSettings(BaseModel):
    """The bot's character, and the limits of a question and its reply."""

    model_config = SECTION
    persona: Annotated[str, Field(min_length=1), COMMON] = "parley"
    """Persona of the bot: the name of a file in config/personas, or the path of a .toml file in the same form."""
    show_mood: Annotated[Literal["felt", "always", "never"], COMMON] = "felt"
    """Moods shown as an emoji after the reply: "felt" for positive and negative ones, "always" for neutral ones too, or
    "never". With /mood off a person hides their own."""
    max_input_tokens: Annotated[Count, COMMON] = 512
    """Longest message, in tokens; a longer one is refused, never cut."""
    max_reply_tokens: Count = 256
    """Longest reply, in tokens. Generation ends there."""
    idle_timeout: Seconds = 30.0
    """Seconds without a new token after which the bot gives up on a reply."""
    total_timeout: Seconds = 120.0
    """Seconds that a whole reply may take."""
    locale: Annotated[Literal["auto", "en", "zh"], COMMON] = "auto"
    """Language of the bot's own words, such as refusals: "en", "zh", or "auto" for the language of each person."""


class QuestionSettings(BaseModel):
    """First questions that the bot offers to ask: on Telegram as buttons below /start, on Slack as suggested prompts.
    At most four in each language, of at most 75 characters each; none are offered for an empty list.
    """

    model_config = SECTION
    en: Questions = ("I had a wonderful day today!", "Tell me something nice about the sea.")
    """First questions in English."""
    zh: Questions = ("我今天过得特别开心！", "给我讲讲大海吧。")
    """First questions in Chinese."""


class LimitSettings(BaseModel):
    """Limits for each person's messages, and for those of all people for whom a program writes with a key."""

    model_config = SECTION
    per_minute: Annotated[Count, COMMON] = 10
    """Messages that one person may send per minute."""
    burst: Count = 5
    """Messages that one person may send at once, ahead of that rate."""
    max_wait: Seconds = 120.0
    """Longest predicted wait, in seconds. A message that would wait longer is refused with "busy, try again in ..."."""
    max_bytes: Count = 16_384
    """Longest message, in bytes."""
    max_queued: Count = 2
    """Messages of one person that may wait for an answer at the same time."""
    key_per_minute: Count = 60
    """Messages that one program may send per minute, for all its people. `parley key add --per-minute` changes that of
    one key."""
    key_burst: Count = 30
    """Messages that one program may send at once, ahead of that rate."""
    key_max_queued: Count = 16
    """Messages of one program that may wait for an answer at the same time, whoever its people are."""
    exempt: Names = ("console",)
    """Front ends without a rate limit. The person at the console owns the machine."""


class CacheSettings(BaseModel):
    """The cache of answers to frequent questions."""

    model_config = SECTION
    size: Count = 1024
    """Answers kept."""
    ttl: Seconds = 86_400.0
    """Seconds for which an answer is kept."""


class KnowledgeSettings(BaseModel):
    """Knowledge about your business: answers to frequent questions, and documents."""

    model_config = SECTION
    folder: Annotated[Path | None, BeforeValidator(_none_if_empty), AfterValidator(_folder_if_set), COMMON] = None
    """Folder of what the bot knows, which `parley knowledge` searches too: FAQ files (.toml, .csv) and documents (.md,
    .txt; with the extra `documents` .pdf, .docx, .html). Folders in it are read too, links and hidden files are not."""
    strict: Annotated[bool, COMMON] = False
    """Answer no question from the model's own memory: what is not in the folder gets an honest "I do not know that"."""

    @model_validator(mode="after")
    def _has_something_to_say(self) -> Self:
        if self.strict and self.folder is None:
            raise ValueError("strict needs a folder: no question could be answered")
        return self


class HistorySettings(BaseModel):
    """The part of a conversation that the model reads again with each message."""

    model_config = SECTION
    max_tokens: Annotated[int, Field(ge=0, le=1_000_000), COMMON] = 1024
    """Tokens of the conversation that the model reads again with each message; 0 disables history."""
    scope: Annotated[Literal["person", "conversation"], COMMON] = "person"
    """Words that the model reads again in a group: "person" for the person's own, "conversation" for everybody's."""

    keep_days: Annotated[int, Field(ge=0, le=36_500), COMMON] = 0
    """Days for which messages, answers and votes are kept; 0 keeps them until the person or you delete them."""

    @property
    def is_shared(self) -> bool:
        """Whether the people of a conversation share one history."""
        return self.scope == "conversation"


class TelegramSettings(BaseModel):
    """The bot on Telegram. It is off without a token."""

    model_config = SECTION
    token: SecretStr = SecretStr("")
    """Bot token from @BotFather. Prefer the environment variable PARLEY_TELEGRAM__TOKEN to parley.toml."""
    base_url: Annotated[str, AfterValidator(_server_url)] = "https://api.telegram.org"
    """Bot API server: Telegram's own, or one that you host."""
    mode: Literal["polling", "webhook"] = "polling"
    """How updates arrive: "polling" fetches them and needs no public address; "webhook" has Telegram post them."""
    webhook_url: Annotated[str, AfterValidator(_server_url)] = ""
    """Public https address of this machine, for mode "webhook". Telegram posts to /telegram/updates below it; a reverse
    proxy must pass that path on to web.host and web.port, headers included."""
    webhook_secret: Annotated[SecretStr, AfterValidator(_webhook_secret)] = SecretStr("")
    """Secret by which a webhook request proves that it comes from Telegram: 1 to 256 letters, digits, _ and -. If it is
    empty, a secret is derived from the token."""
    groups: Literal["mention", "all", "off"] = "mention"
    """Messages answered in groups: "mention" for those that mention the bot, reply to it or are commands, "all", or
    "off" for none."""
    describe: bool = True
    """Whether the bot sets its own description and short description, which Telegram shows in an empty chat and on the
    profile. With false those that you gave to @BotFather stay."""


class SlackSettings(BaseModel):
    """The bot on Slack. It is off without a bot token. Set app_token for Socket Mode, or signing_secret for HTTP."""

    model_config = SECTION
    bot_token: SecretStr = SecretStr("")
    """Bot token (xoxb-...). Prefer the environment variable PARLEY_SLACK__BOT_TOKEN to parley.toml."""
    app_token: SecretStr = SecretStr("")
    """App-level token (xapp-...) for Socket Mode, which needs no public address."""
    signing_secret: SecretStr = SecretStr("")
    """Signing secret for events, buttons and commands that Slack posts by HTTP. A reverse proxy must pass /slack/events
    on to web.host and web.port with headers and body unchanged, because the signature covers both."""
    threads: Literal["follow", "mention"] = "follow"
    """Messages answered in threads of channels: "mention" for those that mention the bot; "follow" also for those of
    one person who goes on without a mention. Once two people talk to each other, the bot waits for a mention."""
    direct_messages: Literal["one", "threads"] = "one"
    """Direct messages with a person: "one" conversation; or "threads", where each message begins one of its own, which
    knows nothing of the others. An answer stands in the thread of its message either way."""
    base_url: Annotated[str, AfterValidator(_server_url)] = "https://slack.com/api"
    """Slack's API: the public one, or that of a GovSlack workspace."""


class WebSettings(BaseModel):
    """The HTTP server for the chat page, the HTTP interface, GET /health, GET /ready and webhooks."""

    model_config = SECTION
    host: Annotated[str, Field(min_length=1), COMMON] = "127.0.0.1"
    """Address of the HTTP server. Other machines reach it by a proxy that adds TLS, or if this is "0.0.0.0"."""
    port: Annotated[int, Field(ge=0, le=65535), COMMON] = 8080
    """Port of that server; 0 picks a free one."""
    chat: Annotated[bool, COMMON] = False
    """Whether there is a chat page at "/". Anybody who reaches it may talk to the bot."""
    api: Annotated[bool, COMMON] = False
    """Whether programs may use /api, with a key of `parley key add`. Its description is at /api/docs."""
    origins: Annotated[Names, AfterValidator(_origins)] = ()
    """Sites that may show the chat in a frame, by /widget.js, such as "https://www.example.com"."""
    cors: Annotated[Names, AfterValidator(_origins)] = ()
    """Sites whose pages may use /api with a key, such as "https://www.example.com", and never with the chat page's
    cookie. Anybody who opens such a page can read its key."""
    hosts: Names = ()
    """Names by which the server may be asked, beside addresses and "localhost", such as "chat.example.com"."""
    proxies: Annotated[Names, AfterValidator(_networks)] = ()
    """Addresses or networks of the reverse proxies in front, such as "127.0.0.1" or "10.0.0.0/8". The clients that they
    name in X-Forwarded-For are believed."""

    @model_validator(mode="after")
    def _has_keys(self) -> Self:
        if self.cors and not self.api:
            raise ValueError("cors needs api: no key would be accepted")
        return self


class AdminSettings(BaseModel):
    """The operator's page at /admin, which is there once `parley password` has set a password."""

    model_config = SECTION
    read_conversations: Annotated[bool, COMMON] = False
    """Whether operators may read what people wrote and were answered. Questions without a good answer are shown either
    way."""


class NetworkSettings(BaseModel):
    """How Parley reaches Telegram, Slack and the model hubs."""

    model_config = SECTION
    proxy: Annotated[SecretStr, AfterValidator(_proxy), COMMON] = SecretStr("")
    """Proxy for Telegram, Slack and model downloads, such as "http://host:3128" or "socks5://user:password@host:1080".
    If it is empty, the variables HTTPS_PROXY, HTTP_PROXY and ALL_PROXY of the environment apply. Names in NO_PROXY, and
    this machine itself, are reached without a proxy. SOCKS proxies resolve names themselves, and need
    the extra socks: `pip install aiohttp-socks socksio`."""


class AccessSettings(BaseModel):
    """Access lists. An entry is one person, "telegram:123456789" or "slack:U0123ABCD"; a place,
    "telegram:chat:-1001234567890" or "slack:channel:C0123ABCD"; or a platform, "slack:*". Guests and people of other
    companies (Slack Connect) need entries of their own.
    """

    model_config = SECTION
    allow: Annotated[Names, AfterValidator(access.allow), COMMON] = ()
    """People who may talk to the bot, such as "telegram:123456789", or places where all may but those whom an
    administrator has shut out, such as "slack:*". Anybody else is told their id, so that you can add it. The console is
    always such a place."""
    admins: Annotated[Names, AfterValidator(access.admins), COMMON] = ()
    """People who see everybody's totals in /stats, may let others in or shut them out with /access, see with /gaps what
    was asked in vain, and answer it with /teach."""
    ask: Annotated[bool, COMMON] = False
    """Whether access.admins are asked to let in a person who may not talk to the bot yet, at most once a day for each.
    On Telegram an administrator must have written to the bot before."""

    @model_validator(mode="after")
    def _has_somebody_to_ask(self) -> Self:
        if self.ask and not self.admins:
            raise ValueError("ask needs admins, who would be asked")
        return self


class HandoffSettings(BaseModel):
    """Hand-off of conversations to people. It is off unless handoff.where is set."""

    model_config = SECTION
    where: Annotated[str, AfterValidator(_desk), COMMON] = ""
    """Where people take conversations over: "slack:T0123ABCD:C0123ABCD" for a channel of a workspace, with a thread for
    each conversation, or "telegram:-1001234567890" for a group, with a topic for each."""
    operators: Annotated[Names, AfterValidator(access.allow), COMMON] = ()
    """People there who may take conversations over, as in access.allow: "slack:U0123ABCD", or the place itself, such as
    "slack:channel:C0123ABCD", for everybody in it."""
    timeout: Annotated[Seconds, COMMON] = 1_800.0
    """Seconds after which a conversation goes back to the bot if nobody takes it over, or its owner writes nothing."""
    hours: Annotated[Names, AfterValidator(_hours), COMMON] = ()
    """When somebody is there, such as "mon-fri 09:00-17:30"; always if it is empty. At other times people are told when
    their message will be read."""
    time_zone: Annotated[str, AfterValidator(_zone_name)] = "UTC"
    """Time zone of handoff.hours, such as "Europe/Berlin"."""
    locale: Literal["en", "zh"] = "en"
    """Language of the bot's own words to the people there."""


class Settings(BaseSettings):
    """All options. `config.load.load_settings` makes them."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        enable_decoding=False,  # a list in the environment may be "a,b", see _names
        extra="forbid",
        frozen=True,
        validate_default=True,
    )
    data_dir: Annotated[Path, AfterValidator(_folder), COMMON] = Path("~/.local/share/parley")
    """Folder for conversations and downloaded models. It is created on first use, readable by you alone."""
    log_level: Literal["auto", "debug", "info", "warning", "error"] = "auto"
    """Lowest level logged to standard error: "debug", "info", "warning" or "error". "auto" is "info" for
    `parley run` and "warning" for the other commands."""
    engine: EngineSettings = EngineSettings()
    store: StoreSettings = StoreSettings()
    chat: ChatSettings = ChatSettings()
    questions: QuestionSettings = QuestionSettings()
    limits: LimitSettings = LimitSettings()
    cache: CacheSettings = CacheSettings()
    history: HistorySettings = HistorySettings()
    knowledge: KnowledgeSettings = KnowledgeSettings()
    telegram: TelegramSettings = TelegramSettings()
    slack: SlackSettings = SlackSettings()
    web: WebSettings = WebSettings()
    admin: AdminSettings = AdminSettings()
    network: NetworkSettings = NetworkSettings()
    access: AccessSettings = AccessSettings()
    handoff: HandoffSettings = HandoffSettings()

    @property
    def store_url(self) -> str:
        """The database URL: the configured one, or that of a file in the data folder."""
        return self.store.url.get_secret_value() or f"{SQLITE}{self.data_dir}/parley.db"

    @property
    def has_store_file(self) -> bool:
        """Whether the database is a file, at `store_path`, and not on a server."""
        return self.store_url.startswith(SQLITE)

    @property
    def store_path(self) -> Path:
        """The database file."""
        assert self.has_store_file
        return Path(self.store_url.removeprefix(SQLITE))

    @property
    def store_name(self) -> str:
        """The file, or the server's URL without password and options."""
        if self.has_store_file:
            return str(self.store_path)
        parsed = make_url(self.store_url)
        servers = {key: value for key, value in parsed.query.items() if key == "host"}
        return parsed.set(drivername="postgresql", query=servers).render_as_string()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  the signature is the library's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment overrides the file, whose values are the constructor's arguments.

        Raises ConfigError if it names a file for a secret that cannot be used.
        """
        assert isinstance(env_settings, EnvSettingsSource)
        env_settings.env_vars = with_secrets(env_settings.env_vars, map(variable_of, secret_keys()))
        return env_settings, init_settings


def sections() -> Iterator[tuple[str, type[BaseModel]]]:
    """The sections of `Settings`: their names and classes."""
    for name, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield name, field.annotation


def secret_keys() -> Iterator[str]:
    """The options that are secrets, as "telegram.token". All of them are in a section."""
    for name, kind in sections():
        yield from (f"{name}.{key}" for key, field in kind.model_fields.items() if field.annotation is SecretStr)


def variable_of(key: str) -> str:
    """The variable of the environment that sets this option."""
    return PREFIX + key.replace(".", "__").upper()
