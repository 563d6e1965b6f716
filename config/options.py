"""Converts the settings to the option dataclasses of the core."""

from config.personas import load_persona
from config.servers import ServerEntry, parse_server
from config.settings import EngineSettings, Settings, zone
from core.chat import ChatOptions
from core.engine.child import ModelChild
from core.engine.openai import OpenAIServer
from core.errors import ConfigError
from core.help_desk import HelpDesk
from core.hours import Hours, Span
from core.knowledge.knowledge import KnowledgeOptions
from core.knowledge.meaning import installed_embedder
from core.limits import Limits
from core.messages import ConversationKey, Locale
from core.models import EMBEDDED
from core.stages.generate import ReplyLimits
from core.store.history import Keeping
from core.worker import WorkerOptions

CONNECT_SECONDS, CONNECT_SECONDS_OF_SEVERAL = 5.0, 1.5
"""How long a model server may take to accept a connection: less if there is another one to turn to."""
OPEN_PLATFORMS = ("console:*", "web:*")
"""Platforms whose people may always talk to the bot: the web lets in who has the page or a key, once it is on."""


def model_servers(engine: EngineSettings) -> list[ServerEntry]:
    """The servers at `engine.url`, those without a share included."""
    return [parse_server(entry) for entry in engine.url]


def openai_server(engine: EngineSettings, url: str, sessions: bytes = b"", *, proxy: str = "") -> OpenAIServer:
    """A server at `engine.url`. It does not know the embedded model, so that name selects the server's first one."""
    return OpenAIServer(
        url=url,
        model="" if engine.model == EMBEDDED else engine.model,
        api_key=engine.api_key.get_secret_value(),
        sessions=sessions,
        proxy=proxy,
        connect_seconds=CONNECT_SECONDS if len(engine.url) == 1 else CONNECT_SECONDS_OF_SEVERAL,
    )


def slots(engine: EngineSettings) -> int:
    """Replies that are generated at once, by all servers together."""
    return engine.max_batch * max(1, sum(server.weight > 0 for server in model_servers(engine)))


def chat_options(settings: Settings) -> ChatOptions:
    """Persona and limits of the bot. Raises ConfigError if the persona is unusable."""
    chat = settings.chat
    return ChatOptions(
        persona=load_persona(chat.persona),
        show_mood=chat.show_mood,
        max_input_tokens=chat.max_input_tokens,
        shared_history=settings.history.is_shared,
        admins=frozenset(settings.access.admins),
        reply=ReplyLimits(max_tokens=chat.max_reply_tokens, total_timeout=chat.total_timeout),
        help_desk=help_desk(settings),
    )


def model_child(settings: Settings) -> ModelChild:
    """The model server of this machine. If `engine.url` is set, `engine.model` is a model there and not here."""
    engine = settings.engine
    return ModelChild(
        data_dir=settings.data_dir,
        model=EMBEDDED if engine.url else engine.model,
        threads=engine.threads,
        max_batch=engine.max_batch,
        dtype=engine.dtype,
        kv_dtype=engine.kv_dtype,
        cache_bytes=engine.cache_bytes,
        memory_bytes=engine.memory_bytes,
    )


def fixed_locale(settings: Settings) -> Locale | None:
    """The language of the bot's own words for everybody; None if it is each person's own."""
    return None if settings.chat.locale == "auto" else settings.chat.locale


def knowledge_options(settings: Settings) -> KnowledgeOptions | None:
    """The knowledge and, if the extra "semantic" is installed, its model, which is loaded; None without a folder."""
    folder = settings.knowledge.folder
    if folder is None:
        return None
    return KnowledgeOptions(
        folder=folder, index_path=settings.data_dir / "knowledge.npz", embedder=installed_embedder()
    )


def limits(settings: Settings) -> Limits:
    """Limits for messages of people and of programs. Administrators are allowed if they are asked."""
    chosen = settings.limits
    asked = settings.access.admins if settings.access.ask else ()
    return Limits(
        per_minute=chosen.per_minute,
        burst=chosen.burst,
        max_bytes=chosen.max_bytes,
        max_queued=chosen.max_queued,
        key_per_minute=chosen.key_per_minute,
        key_burst=chosen.key_burst,
        key_max_queued=chosen.key_max_queued,
        max_wait=chosen.max_wait,
        slots=slots(settings.engine),
        exempt=frozenset(chosen.exempt),
        allow=frozenset({*settings.access.allow, *asked, *OPEN_PLATFORMS}),
        admins=frozenset(settings.access.admins),
        asks_admins=settings.access.ask,
        locale=fixed_locale(settings),
        help_desk=help_desk(settings),
    )


def help_desk(settings: Settings) -> HelpDesk | None:
    """Where people take conversations over; None if they do not. Raises ConfigError if it cannot work."""
    chosen = settings.handoff
    if not chosen.where:
        return None
    platform, *_, chat = chosen.where.split(":")
    if platform == "telegram":
        workspace, token = settings.telegram.token.get_secret_value().partition(":")[0], settings.telegram.token
    else:
        workspace, token = chosen.where.split(":")[1], settings.slack.bot_token
    if not token.get_secret_value():
        raise ConfigError("handoff.where", f"is on {platform}, where the bot is off")
    if not chosen.operators:
        raise ConfigError("handoff.operators", "is empty: nobody could take a conversation over")
    return HelpDesk(
        place=ConversationKey(platform=platform, workspace=workspace, chat=chat),
        operators=frozenset(chosen.operators),
        timeout=chosen.timeout,
        hours=Hours(spans=tuple(map(Span.parse, chosen.hours)), zone=zone(chosen.time_zone)),
        locale=chosen.locale,
    )


def worker_options(settings: Settings, owner: str) -> WorkerOptions:
    """Options of the worker: as many turns at once as the engine generates."""
    keeping = Keeping(max_tokens=settings.history.max_tokens, shared=settings.history.is_shared)
    return WorkerOptions(owner=owner, slots=slots(settings.engine), keeping=keeping)
