"""The chat page: one HTML document, its scripts and styles, and the script by which other sites show it in a frame."""

from collections.abc import Collection, Sequence
from functools import cache
from importlib import resources
from pathlib import Path

from jinja2 import Environment, PackageLoader, Template, select_autoescape
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from bots.fronts import Welcome
from bots.web.locales import locale_of
from bots.web.principals import Principals
from bots.web.visitors import COOKIE, COOKIE_SECONDS, Visitor
from core.i18n import LOCALES, say
from core.messages import Locale

STATIC = Path(str(resources.files("bots.web").joinpath("static")))
WORDS = (
    *("title", "placeholder", "send", "stop", "copy", "copied", "you", "thinking", "offline", "again_later"),
    *("commands", "language", "empty", "failed", "newest", "conversation"),
)
"""Keys of the page's words, which its script finds as well."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors {ancestors}"
)
PUBLIC = ("/", "/widget.js", "/admin", "/admin/")
"""Paths that a page of another site may lead to, or fetch: they do nothing."""


def page_routes(principals: Principals, welcome: Welcome, origins: Collection[str]) -> Sequence[BaseRoute]:
    """The page at "/", in a frame of the `origins` too, its files, and "/widget.js"."""
    headers = {
        "Content-Security-Policy": POLICY.format(ancestors=" ".join(origins) or "'none'"),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }

    async def page(request: Request) -> Response:
        address = request.client.host if request.client else ""
        visitor = await principals.visitor(request.cookies.get(COOKIE, "")) or await principals.welcome(address)
        locale = locale_of(request)
        if visitor is None:
            return PlainTextResponse(say(locale, "web.again_later"), 429, headers)
        response = Response(_rendered(locale, welcome), media_type="text/html", headers=headers)
        response.headers["Set-Cookie"] = _cookie(visitor, request, in_frame=bool(origins))
        return response

    async def widget(_request: Request) -> Response:
        return FileResponse(STATIC / "widget.js", headers={"Cross-Origin-Resource-Policy": "cross-origin"})

    return Route("/", page), Route("/widget.js", widget)


def _rendered(locale: Locale, welcome: Welcome) -> str:
    return _template().render(
        locale=locale,
        tag="zh-Hans" if locale == "zh" else "en",
        others=[(other, say(other, "web.language")) for other in LOCALES if other != locale],
        name=welcome.name,
        words={key: say(locale, f"web.{key}", name=welcome.name) for key in WORDS},
        commands=[(str(command), command.usage, command.describe(locale)) for command in welcome.menu],
        questions=welcome.questions.get(locale, ()),
    )


@cache
def _template() -> Template:
    environment = Environment(loader=PackageLoader("bots.web"), autoescape=select_autoescape(), trim_blocks=True)
    return environment.get_template("chat.html")


def _cookie(visitor: Visitor, request: Request, *, in_frame: bool) -> str:
    """The header that sets the cookie. Within a frame of another site it is kept apart for that site."""
    parts = [f"{COOKIE}={visitor.cookie}", "Path=/", f"Max-Age={COOKIE_SECONDS}", "HttpOnly"]
    if request.url.scheme == "https":
        parts += ["Secure", *(("SameSite=None", "Partitioned") if in_frame else ("SameSite=Lax",))]
    else:
        parts.append("SameSite=Lax")
    return "; ".join(parts)
