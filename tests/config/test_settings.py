import json
import tomllib
from pathlib import Path

import pytest
from sqlalchemy import make_url

import config
from config.load import load_settings, setting_keys
from config.options import model_servers, slots
from config.settings import Settings, StoreSettings
from core.errors import ConfigError
from core.store.postgresql import make_engine

DEFAULTS = Path(config.__file__).with_name("default.toml")


@pytest.fixture(autouse=True)
def own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _written(text: str) -> Path:
    path = Path("written.toml")
    path.write_text(text, "utf-8")
    return path


def test_nothing_needs_to_be_set() -> None:
    """Without a file and variables the defaults apply: the mini model, and a database in the data folder."""
    settings = load_settings()
    assert settings.engine.model == "mini"
    assert settings.store_url == f"sqlite:///{Path.home()}/.local/share/parley/parley.db"


def test_default_toml_states_every_option() -> None:
    """`default.toml` names every option, and no other."""
    written = tomllib.loads(DEFAULTS.read_text("utf-8"))
    keys = [f"{name}.{key}" for name, section in written.items() if isinstance(section, dict) for key in section]
    assert sorted(keys + [name for name in written if name in {"data_dir", "log_level"}]) == sorted(setting_keys())


def test_default_toml_states_the_defaults() -> None:
    """Loading `default.toml` gives the same settings as loading no file."""
    assert load_settings(DEFAULTS) == load_settings()


def test_the_environment_overrides_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable overrides the file, option by option."""
    monkeypatch.setenv("PARLEY_ENGINE__THREADS", "3")
    settings = load_settings(_written("[engine]\nthreads = 1\nmax_batch = 4"))
    assert (settings.engine.threads, settings.engine.max_batch) == (3, 4)


def test_parley_toml_is_read_where_parley_is_started(own_folder: Path) -> None:
    """`parley.toml` in the working directory is read without being named."""
    (own_folder / "parley.toml").write_text("[cache]\nsize = 7")
    assert load_settings().cache.size == 7


def test_a_named_file_replaces_parley_toml(monkeypatch: pytest.MonkeyPatch, own_folder: Path) -> None:
    """PARLEY_CONFIG names another file, and a file given as an argument overrides that."""
    (own_folder / "parley.toml").write_text("[cache]\nsize = 7")
    (own_folder / "other.toml").write_text("[cache]\nsize = 8")
    monkeypatch.setenv("PARLEY_CONFIG", "other.toml")
    assert load_settings().cache.size == 8
    assert load_settings(_written("[cache]\nsize = 9")).cache.size == 9


def test_a_list_in_the_environment_is_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    """PARLEY_LIMITS__EXEMPT=console,web is a list of two entries."""
    monkeypatch.setenv("PARLEY_LIMITS__EXEMPT", "console, web")
    assert load_settings().limits.exempt == ("console", "web")


@pytest.mark.parametrize("value", ['["telegram:1","slack:*"]', ' [ "telegram:1", "slack:*" ]\n', "telegram:1,slack:*"])
def test_a_list_in_the_environment_may_be_json(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """A list in JSON is the same list as with commas."""
    monkeypatch.setenv("PARLEY_ACCESS__ALLOW", value)
    assert load_settings().access.allow == ("telegram:1", "slack:*")


@pytest.mark.parametrize(("value", "entries"), [("", ()), ("[]", ()), (",", ()), ('["a,b"]', ("a,b",))])
def test_short_lists_in_the_environment(monkeypatch: pytest.MonkeyPatch, value: str, entries: tuple[str, ...]) -> None:
    """An empty value is an empty list in both forms, and a comma within JSON separates nothing."""
    monkeypatch.setenv("PARLEY_LIMITS__EXEMPT", value)
    assert load_settings().limits.exempt == entries


@pytest.mark.parametrize(
    "value",
    [
        "http://a:1/v1/,http://b:2/v1 weight=1, http://c:3/x/v1  weight=0",
        '["http://a:1/v1", "http://b:2/v1", "http://c:3/x/v1 weight=0"]',
    ],
)
def test_model_servers_in_the_environment(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """Servers have commas between them or are JSON; each may have a weight. Two with a share have two batches."""
    monkeypatch.setenv("PARLEY_ENGINE__URL", value)
    engine = load_settings().engine
    assert [str(server) for server in model_servers(engine)] == list(engine.url)
    assert [(server.name, server.weight) for server in model_servers(engine)] == [("a:1", 1), ("b:2", 1), ("c:3/x", 0)]
    assert slots(engine) == 2 * engine.max_batch


def test_one_model_server_may_be_a_string() -> None:
    """A URL alone is a list of one."""
    assert load_settings(_written('[engine]\nurl = "http://a:1/v1"')).engine.url == ("http://a:1/v1",)


def test_the_data_folder_is_absolute_and_not_made(own_folder: Path) -> None:
    """A relative folder and ~ become absolute paths; loading settings creates no folder."""
    assert load_settings(_written('data_dir = "kept"')).data_dir == own_folder / "kept"
    assert load_settings(_written('data_dir = "~/kept"')).data_dir == Path.home() / "kept"
    assert not (own_folder / "kept").exists()


def test_settings_cannot_be_changed() -> None:
    """Settings are frozen."""
    with pytest.raises(ValueError, match="frozen"):
        load_settings().engine.threads = 4


@pytest.mark.parametrize(
    ("text", "key", "reason"),
    [
        ('[engine]\nmodle = "x"', "engine.modle", "did you mean engine.model?"),
        ('[engin]\nmodel = "x"', "engin", "did you mean engine?"),
        ("zzz = 1", "zzz", "is not a setting"),
        ("engine = 3", "engine", "should be a section: [engine]"),
        ("[engine]\nthreads = -1", "engine.threads", "greater than or equal to 0"),
        ("[engine]\nmax_batch = 0", "engine.max_batch", "greater than or equal to 1"),
        ('[engine]\nmodel = ""', "engine.model", "at least 1 character"),
        ('[engine]\ndtype = "int3"', "engine.dtype", "'auto'"),
        ('[engine]\nurl = "ftp://host/v1"', "engine.url", "http://127.0.0.1:8000/v1"),
        ('[engine]\nurl = "http://host:8000/v2"', "engine.url", "http://127.0.0.1:8000/v1"),
        ('[engine]\nurl = "http://host:99999/v1"', "engine.url", "Port out of range"),
        ('[engine]\nurl = "http://host/v1?a=/v1"', "engine.url", "should end in /v1"),
        ('[engine]\nurl = ["http://a/v1", "ftp://b/v1"]', "engine.url", "http://127.0.0.1:8000/v1"),
        ('[engine]\nurl = ["http://a/v1", "http://a/v1/ weight=2"]', "engine.url", "names a server twice"),
        ('[engine]\nurl = "http://a/v1 weight=0"', "engine.url", "every server the weight 0"),
        ('[engine]\nurl = "http://a/v1 weight=257"', "engine.url", "from 0 to 256"),
        ('[engine]\nurl = "http://a/v1 weight=-1"', "engine.url", "from 0 to 256"),
        ('[engine]\nurl = "http://a/v1 backup"', "engine.url", "weight=2"),
        ('[engine]\nurl = "http://a/v1 weight=1 weight=2"', "engine.url", "weight=2"),
        ("[engine]\nurl = 3", "engine.url", "tuple"),
        ('[store]\nurl = "mysql://host/db"', "store.url", "sqlite:///PATH"),
        ('[store]\nurl = "postgresql://host"', "store.url", "HOST/DATABASE"),
        ('[store]\nurl = "postgresql://host:port/db"', "store.url", "HOST/DATABASE"),
        ('[chat]\nlocale = "fr"', "chat.locale", "'auto', 'en' or 'zh'"),
        ('[chat]\npersona = ""', "chat.persona", "at least 1 character"),
        ("[chat]\nmax_input_tokens = 0", "chat.max_input_tokens", "greater than or equal to 1"),
        ("[chat]\nmax_reply_tokens = 1.5", "chat.max_reply_tokens", "valid integer"),
        ("[chat]\nidle_timeout = 0", "chat.idle_timeout", "greater than 0"),
        ("[chat]\ntotal_timeout = inf", "chat.total_timeout", "finite"),
        ("[limits]\nper_minute = 0", "limits.per_minute", "greater than or equal to 1"),
        ("[limits]\nburst = 0", "limits.burst", "greater than or equal to 1"),
        ("[limits]\nmax_wait = nan", "limits.max_wait", "finite"),
        ("[limits]\nmax_bytes = 0", "limits.max_bytes", "greater than or equal to 1"),
        ("[limits]\nmax_queued = 0", "limits.max_queued", "greater than or equal to 1"),
        ("[limits]\nexempt = [1]", "limits.exempt", "valid string"),
        ("[cache]\nsize = 0", "cache.size", "greater than or equal to 1"),
        ("[cache]\nttl = -1", "cache.ttl", "greater than 0"),
        ("[history]\nmax_tokens = -1", "history.max_tokens", "greater than or equal to 0"),
        ('[telegram]\nwebhook_secret = "what ever"', "telegram.webhook_secret", "letters, digits, _ and -"),
        ("data_dir = 3", "data_dir", "path"),
        ('data_dir = "~nobody-at-all/x"', "data_dir", "home folder"),
        ('log_level = "loud"', "log_level", "'auto'"),
        ("[access]\nask = true", "access", "ask needs admins"),
        ("[knowledge]\nstrict = true", "knowledge", "strict needs a folder"),
        ("[engine", "written.toml", "is not valid TOML"),
    ],
)
def test_an_invalid_option_is_named(text: str, key: str, reason: str) -> None:
    """An invalid option in the file raises ConfigError with its name there and a reason of one line."""
    with pytest.raises(ConfigError) as refused:
        load_settings(_written(text))
    assert refused.value.key == key
    assert reason in refused.value.reason
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("PARLEY_ENGINE__MODLE", "x", "did you mean PARLEY_ENGINE__MODEL?"),
        ("PARLEY_ENGINE", "{}", "is not a setting"),
        ("PARLEY_UNHEARD_OF", "1", "is not a setting"),
        ("PARLEY_ENGINE__THREADS", "many", "valid integer"),
        ("PARLEY_CHAT__IDLE_TIMEOUT", "", "valid number"),
        ("PARLEY_LIMITS__EXEMPT", '["console"', 'should be a list like ["a", "b"]'),
        ("PARLEY_LIMITS__EXEMPT", "[1]", "valid string"),
    ],
)
def test_an_invalid_variable_is_named(monkeypatch: pytest.MonkeyPatch, variable: str, value: str, reason: str) -> None:
    """An unknown or invalid variable raises ConfigError with the variable's name."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError, match=variable) as refused:
        load_settings()
    assert reason in refused.value.reason


def test_other_variables_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """PARLEY_SERVER_KEY belongs to the model server, so loading settings ignores it."""
    monkeypatch.setenv("PARLEY_SERVER_KEY", "x")
    assert load_settings()


@pytest.mark.parametrize("path", ["missing.toml", "."])
def test_a_file_that_cannot_be_read_is_named(path: str) -> None:
    """A named file must be readable; only `parley.toml` may be missing."""
    with pytest.raises(ConfigError) as refused:
        load_settings(Path(path))
    assert refused.value.key == path


def test_secrets_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the settings' repr nor an error about them contains a secret."""
    monkeypatch.setenv("PARLEY_ENGINE__API_KEY", "canary-key")
    assert "canary" not in repr(load_settings())
    with pytest.raises(ConfigError) as refused:
        load_settings(_written('[engine]\nurl = "http://user:canary@host/v1"'))
    assert "canary" not in str(refused.value)
    with pytest.raises(ConfigError) as refused:
        load_settings(_written('[telegram]\nwebhook_secret = "canary!"'))
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize(
    ("questions", "reason"),
    [
        (["a", "b", "c", "d", "e"], "at most 4"),
        (["x" * 76], "at most 75"),
        ([""], "at least 1"),
        (["one\ntwo"], "should be one line"),
        ([" one"], "should be one line"),
        (["a\u200bb"], "should be one line"),
    ],
)
def test_first_questions_fit_both_platforms(monkeypatch: pytest.MonkeyPatch, questions: list[str], reason: str) -> None:
    """Slack suggests four prompts; a question is a short line, with commas too."""
    monkeypatch.setenv("PARLEY_QUESTIONS__EN", json.dumps(questions))
    with pytest.raises(ConfigError, match="PARLEY_QUESTIONS__EN") as refused:
        load_settings()
    assert reason in refused.value.reason
    monkeypatch.setenv("PARLEY_QUESTIONS__EN", '["Well, how are you?"]')
    assert load_settings().questions.en == ("Well, how are you?",)


@pytest.mark.parametrize(
    "url", ["ftp://u:canary@h", "u:canary@h:1", "http://:canary@", "http://u:canary@h/p", "http://u:canary@h:x"]
)
def test_a_bad_proxy_is_not_quoted(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """What a proxy should look like is said without the password that was given."""
    monkeypatch.setenv("PARLEY_NETWORK__PROXY", url)
    with pytest.raises(ConfigError, match="should be like http://") as refused:
        load_settings()
    assert "canary" not in str(refused.value)


def test_the_password_of_a_database_is_a_secret(monkeypatch: pytest.MonkeyPatch, own_folder: Path) -> None:
    """It may come from a file, is in no text about the settings, and is not quoted if the URL is wrong."""
    (own_folder / "url").write_text("postgresql://bot:hunter2@db.example:5433/parley?sslmode=require&password=hunter2")
    monkeypatch.setenv("PARLEY_STORE__URL_FILE", str(own_folder / "url"))
    settings = load_settings()
    assert settings.store_url.startswith("postgresql+psycopg://bot:hunter2@db.example:5433/parley?")
    assert (settings.store_name, settings.has_store_file) == ("postgresql://bot:***@db.example:5433/parley", False)
    assert "hunter2" not in repr(settings)
    (own_folder / "url").write_text("postgresql://bot:hunter2@db.example:none/parley")
    with pytest.raises(ConfigError) as raised:
        load_settings()
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("hosts", "name"),
    [
        (
            "bot:hunter2@a.example:5433,b.example/parley",
            "postgresql://bot:***@/parley?host=a.example%3A5433&host=b.example",
        ),
        ("a,b:5434/parley?target_session_attrs=read-write", "postgresql:///parley?host=a&host=b%3A5434"),
    ],
)
def test_a_database_may_have_several_servers(hosts: str, name: str) -> None:
    """They are written as libpq has them, and reach its connections in the form that it reads."""
    settings = StoreSettings.model_validate({"url": f"postgresql://{hosts}"})
    assert Settings(store=settings).store_name == name
    (_, options) = make_engine(settings.url.get_secret_value()).dialect.create_connect_args(
        make_url(settings.url.get_secret_value())
    )
    assert (options["host"], options["port"]) in {("a.example,b.example", "5433,"), ("a,b", ",5434")}
    assert options["dbname"] == "parley"


def test_a_database_file_has_its_path_for_a_name() -> None:
    """What is printed about an SQLite database is where it is."""
    settings = load_settings(_written('[store]\nurl = "sqlite:///kept.db"'))
    assert (settings.store_name, settings.has_store_file) == ("kept.db", True)
