"""The Markdown that is read: CommonMark with tables, strikethrough and maths; HTML and entities stay as written.

Definitions of links ("[a]: address") stay as written too, since one that is not used would vanish.
"""

from functools import cache

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

from bots.markdown import addresses, emphasis, maths


def parse(markdown: str) -> SyntaxTreeNode:
    """The tree of a text."""
    return SyntaxTreeNode(_dialect().parse(markdown))


@cache
def _dialect() -> MarkdownIt:
    dialect = MarkdownIt("commonmark", {"html": False})
    dialect.enable(["table", "strikethrough"]).disable(["reference", "entity"])
    dialect.validateLink = addresses.is_safe  # type: ignore[method-assign]
    dialect.normalizeLink = _as_written  # type: ignore[method-assign]
    dialect.normalizeLinkText = lambda link: link  # type: ignore[method-assign]
    for plugin in (maths.plugin, emphasis.plugin, addresses.plugin):
        dialect.use(plugin)
    return dialect


def _as_written(url: str) -> str:
    return url
