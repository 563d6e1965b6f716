"""The settings that are in force. Secrets are not shown."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel, SecretStr

from bots.admin.office import Here, Operator
from config.settings import Settings, sections

router = APIRouter()


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """An option as it is: its name, such as "web.port", its value, and whether somebody has set it.

    The value of a secret that is set is None.
    """

    name: str
    value: object
    is_set: bool


@router.get("/settings")
async def settings(visit: Operator, here: Here) -> Response:
    return visit.page("settings.html", options=list(in_force(here.settings)))


def in_force(settings: Settings) -> Iterator[Option]:
    """All options, those without a section first."""
    names = [name for name, _ in sections()]
    yield from _options("", settings, without=names)
    for name in names:
        yield from _options(f"{name}.", getattr(settings, name))


def _options(prefix: str, values: BaseModel, without: Collection[str] = ()) -> Iterator[Option]:
    for name in type(values).model_fields:
        if name not in without:
            is_set = name in values.model_fields_set
            yield Option(name=prefix + name, value=_shown(getattr(values, name)), is_set=is_set)


def _shown(value: object) -> object:
    if isinstance(value, SecretStr):
        return None if value.get_secret_value() else ""
    return ", ".join(map(str, value)) if isinstance(value, tuple) else value
