"""The language in which a page speaks to the person at a browser."""

from starlette.requests import Request

from core.language import locale_of_tag
from core.messages import Locale

LANGUAGE = "parley-language"
"""The cookie that keeps the language that was chosen."""


def locale_of(request: Request) -> Locale:
    """The language chosen in the address, or before; else the first of the browser's that the bot speaks."""
    preferred = request.headers.get("accept-language", "").split(",")
    chosen = (request.query_params.get("lang", ""), request.cookies.get(LANGUAGE, ""))
    tags = [*chosen, *(tag.partition(";")[0].strip() for tag in preferred)]
    return next((found for tag in tags if (found := locale_of_tag(tag))), "en")
