"""The answer's Markdown as HTML for a web page: no scripts, no pictures from elsewhere, links that tell nothing."""

import html
from collections.abc import Sequence
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from bots.markdown.dialect import dialect


def as_html(markdown: str) -> str:
    """All text is escaped, and links lead to the addresses that `addresses.is_safe` allows."""
    return str(_renderer().render(markdown))


@cache
def _renderer() -> MarkdownIt:
    made = dialect()
    made.add_render_rule("link_open", _link_open)
    made.add_render_rule("image", _image)
    made.add_render_rule("maths_block", _maths)
    for cell in ("th_open", "td_open"):
        made.add_render_rule(cell, _cell)
    return made


def _link_open(renderer: RendererHTML, tokens: Sequence[Token], at: int, options: OptionsDict, env: EnvType) -> str:
    tokens[at].attrSet("rel", "noopener noreferrer nofollow")
    tokens[at].attrSet("target", "_blank")
    return renderer.renderToken(tokens, at, options, env)


def _image(_renderer: RendererHTML, tokens: Sequence[Token], at: int, _options: OptionsDict, _env: EnvType) -> str:
    """A picture is named: fetching it would tell its owner who reads."""
    return html.escape(tokens[at].content or str(tokens[at].attrGet("src") or ""))


def _cell(renderer: RendererHTML, tokens: Sequence[Token], at: int, options: OptionsDict, env: EnvType) -> str:
    """Its alignment is a class: a page's policy need not allow styles in the text."""
    if style := tokens[at].attrs.pop("style", ""):
        tokens[at].attrSet("class", str(style).partition(":")[2])
    return renderer.renderToken(tokens, at, options, env)


def _maths(_renderer: RendererHTML, tokens: Sequence[Token], at: int, _options: OptionsDict, _env: EnvType) -> str:
    return f"<pre>{html.escape(tokens[at].content)}</pre>\n"
