"""/api/docs: the HTTP interface for people to read, made from its OpenAPI description; no script, no other host."""

import json
from functools import cache

from fastapi import FastAPI
from jinja2 import Environment, PackageLoader, Template, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}


def documentation(interface: FastAPI) -> Route:
    """The page. /api/openapi.json has the same for programs."""

    async def page(_request: Request) -> HTMLResponse:
        return HTMLResponse(_template().render(api=interface.openapi(), as_json=_as_json), headers=HEADERS)

    return Route("/api/docs", page)


def _as_json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


@cache
def _template() -> Template:
    return Environment(loader=PackageLoader("bots.web"), autoescape=select_autoescape()).get_template("docs.html")
