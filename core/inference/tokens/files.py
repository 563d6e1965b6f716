"""What a model folder says about its chat template: the Jinja source, and the texts of its special tokens."""

from collections.abc import Mapping
from pathlib import Path

from core.errors import ModelDamaged
from core.models import read_file, read_json

DEFAULT = "default"
"""Name of the template for plain chat, if a folder has several."""


def read_template(folder: Path) -> tuple[str | None, Mapping[str, str]]:
    """The source of the chat template, None if there is none, and the special tokens by names such as "bos_token"."""
    path = folder / "tokenizer_config.json"
    settings = read_json(path) if path.exists() else {}
    special = {name: _text(value) for name, value in settings.items() if name.endswith("_token")}
    return _source(folder, settings), {name: text for name, text in special.items() if text is not None}


def _source(folder: Path, settings: Mapping[str, object]) -> str | None:
    path = folder / "chat_template.jinja"
    if path.exists():
        try:
            return read_file(path).decode()
        except UnicodeDecodeError as error:
            raise ModelDamaged(str(path), "it is not UTF-8") from error
    found = settings.get("chat_template")
    if isinstance(found, list):
        found = {entry.get("name"): entry.get("template") for entry in found if isinstance(entry, dict)}.get(DEFAULT)
    return found if isinstance(found, str) else None


def _text(token: object) -> str | None:
    """The text of a special token, which is a string, an object or null."""
    found = token.get("content") if isinstance(token, dict) else token
    return found if isinstance(found, str) else None
