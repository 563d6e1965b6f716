"""Writes a configuration file, which may hold tokens."""

import os
from collections.abc import Mapping
from pathlib import Path
from tempfile import NamedTemporaryFile

import tomli_w

from core.errors import ConfigError


def save_settings(path: Path, values: Mapping[str, str]) -> None:
    """Write options by their keys, such as "telegram.token", to a file that its owner alone may read.

    It is whole, or not there. Raises ConfigError.
    """
    try:
        with NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.", encoding="utf-8", delete=False) as file:
            try:
                file.write(tomli_w.dumps(_nested(values)))
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).replace(path)
            except BaseException:
                Path(file.name).unlink()
                raise
    except OSError as error:
        raise ConfigError(str(path), error.strerror or "cannot be written") from error


def _nested(values: Mapping[str, str]) -> dict[str, dict[str, str]]:
    sections: dict[str, dict[str, str]] = {}
    for key, value in values.items():
        section, _, name = key.partition(".")
        sections.setdefault(section, {})[name] = value
    return sections
