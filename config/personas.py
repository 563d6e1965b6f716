"""Personas: the bot's name and system prompts, as TOML files."""

import re
import tomllib
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field, ValidationError

from core.errors import ConfigError
from core.prompt import Persona

KEY = "chat.persona"
MAX_BYTES = 16384
SECRET = re.compile(
    r"\bsk-[\w-]{8,}|\bxox[a-z]-[\w-]{8,}|\bxapp-[\w-]{8,}|\bgh[a-z]_\w{20,}|\bhf_\w{20,}|\bAKIA[A-Z0-9]{12,}"
    r"|\b\d{6,12}:[\w-]{30,}|-----BEGIN [A-Z ]*PRIVATE KEY"
)
"""Keys of common services. A persona is public, because people can get the bot to repeat it."""


def load_persona(name_or_path: str) -> Persona:
    """The persona of a file in `config/personas`, or of a TOML file given by its path.

    Raises ConfigError if the file is missing or not a valid persona.
    """
    try:
        written = PersonaFile.model_validate(tomllib.loads(_read(_find(name_or_path))))
    except OSError as error:
        raise ConfigError(KEY, f"{name_or_path}: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise ConfigError(KEY, f"{name_or_path}: {first['loc'][0]}: {first['msg']}") from None
    except (ValueError, RuntimeError) as error:  # not TOML, not UTF-8, too large; or no home folder for ~
        raise ConfigError(KEY, f"{name_or_path}: {error}") from None
    return Persona(name=written.name, system={"en": written.en, "zh": written.zh})


def _find(name_or_path: str) -> Traversable:
    if name_or_path.endswith(".toml"):
        return Path(name_or_path).expanduser()
    if not re.fullmatch(r"[\w-]+", name_or_path):
        raise ValueError("should be a persona's name or the path of a .toml file")
    return resources.files("config").joinpath("personas", f"{name_or_path}.toml")


def _read(source: Traversable) -> str:
    with source.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"is larger than {MAX_BYTES} bytes")
    return content.decode()


def _public(text: str) -> str:
    if SECRET.search(text):
        raise ValueError("contains what looks like a secret, but a persona is public")
    return text.strip()


class PersonaFile(BaseModel, frozen=True, extra="forbid"):
    """A persona file: a name, and the same system prompt in each language."""

    name: Annotated[str, Field(pattern=r"\S", max_length=64)]
    en: Annotated[str, Field(pattern=r"\S", max_length=4000), AfterValidator(_public)]
    zh: Annotated[str, Field(pattern=r"\S", max_length=4000), AfterValidator(_public)]
