"""Loads settings: `PARLEY_SECTION__KEY` in the environment overrides `parley.toml`, which overrides the defaults.

A secret may also come from a file that the environment names: `config/secret_files.py`.
"""

import os
import tomllib
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from pydantic import BaseModel, ValidationError

from config.secret_files import file_variable
from config.settings import PREFIX, Settings, secret_keys, sections, variable_of
from core.errors import ConfigError

CONFIG_FILE = Path("parley.toml")
OTHER_VARIABLES = frozenset({"PARLEY_CONFIG", "PARLEY_SERVER_KEY"})


def load_settings(file: Path | None = None) -> Settings:
    """The settings from the environment and one file: `file`, else `PARLEY_CONFIG`, else `./parley.toml` if it exists.

    Raises ConfigError for the first invalid option, under the name that the file or the environment uses for it.
    """
    path, is_named = config_path(file), bool(file or os.environ.get("PARLEY_CONFIG"))
    return _made(_read(path) if is_named or path.exists() else {}, path)


def environment_settings() -> Settings:
    """The settings from the environment alone. Raises ConfigError."""
    return _made({}, CONFIG_FILE)


def config_path(file: Path | None = None) -> Path:
    """The file that settings are read from, and that `parley init` writes."""
    return Path(file or os.environ.get("PARLEY_CONFIG") or CONFIG_FILE)


def with_values(settings: Settings, section: str, **values: str) -> Settings:
    """The settings with other values in one section, whatever the environment says. Raises ConfigError."""
    kept: BaseModel = getattr(settings, section)
    try:
        changed = type(kept).model_validate(dict(kept) | values)
    except ValidationError as error:
        where, reason = _first_fault(error)
        raise ConfigError(f"{section}.{where}", reason) from None
    return settings.model_copy(update={section: changed})


def setting_keys() -> Iterator[str]:
    """Every option as it is named in the file: "data_dir", "engine.model" and so on."""
    kinds = dict(sections())
    yield from (name for name in Settings.model_fields if name not in kinds)
    yield from (f"{name}.{key}" for name, kind in kinds.items() for key in kind.model_fields)


def _made(written: dict[str, object], path: Path) -> Settings:
    _refuse_unknown(written, path)
    try:
        return Settings(**written)  # type: ignore[arg-type]  # pydantic checks what the file says
    except ValidationError as error:
        where, reason = _first_fault(error)
        raise ConfigError(_name_used(where), reason) from None


def _first_fault(error: ValidationError) -> tuple[str, str]:
    """The option at fault, "engine.url" or "url" in its section, and what is wrong with it."""
    first = error.errors(include_url=False, include_input=False)[0]
    reason = first["msg"].removeprefix("Value error, ").replace("Input should", "should")
    return ".".join(map(str, first["loc"][:2])), reason


def _read(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigError(str(path), "there is no such file") from None
    except OSError as error:
        raise ConfigError(str(path), error.strerror or "cannot be read") from None
    except ValueError as error:  # not TOML, or not UTF-8
        raise ConfigError(str(path), f"is not valid TOML: {error}") from None


def _refuse_unknown(written: dict[str, object], path: Path) -> None:
    """Raise ConfigError for an unknown option or variable, so that a typo is not ignored silently."""
    keys = list(setting_keys())
    sections = {key.partition(".")[0] for key in keys if "." in key}
    for key in _flat(written, sections):
        if key not in keys:
            raise ConfigError(key, f"is not a setting ({path}){_suggestion(key, [*keys, *sections])}")
    variables = [*map(variable_of, keys), *(file_variable(variable_of(key)) for key in secret_keys())]
    for variable in map(str.upper, os.environ):
        if variable.startswith(PREFIX) and variable not in {*variables, *OTHER_VARIABLES}:
            raise ConfigError(variable, f"is not a setting{_suggestion(variable, variables)}")


def _flat(written: dict[str, object], sections: set[str]) -> Iterator[str]:
    for name, value in written.items():
        if name not in sections:
            yield name
        elif isinstance(value, dict):
            yield from (f"{name}.{key}" for key in value)
        else:
            raise ConfigError(name, f"should be a section: [{name}]")


def _suggestion(name: str, known: list[str]) -> str:
    close = get_close_matches(name, known, n=1, cutoff=0.7)
    return f"; did you mean {close[0]}?" if close else ""


def _name_used(key: str) -> str:
    """The name by which the option was given: its variable, the variable of its file, or the key."""
    given = {*map(str.upper, os.environ)}
    return next((name for name in (variable_of(key), file_variable(variable_of(key))) if name in given), key)
