"""The Markdown that is read: CommonMark with tables, strikethrough and maths; HTML and entities stay as written.

Definitions of links ("[a]: address") stay as written too, since one that is not used would vanish.
"""

from functools import cache

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

from bots.markdown import addresses, emphasis, maths


def parse(markdown: str) -> SyntaxTreeNode:
    """The tree of a text."""
    return SyntaxTreeNode(_parser().parse(markdown))


@cache
def _parser() -> MarkdownIt:
    return dialect()


def dialect() -> MarkdownIt:
    """A new parser and renderer of it."""
    made = MarkdownIt("commonmark", {"html": False})
    made.enable(["table", "strikethrough"]).disable(["reference", "entity"])
    made.validateLink = addresses.is_safe  # type: ignore[method-assign]
    made.normalizeLink = _as_written  # type: ignore[method-assign]
    made.normalizeLinkText = lambda link: link  # type: ignore[method-assign]
    for plugin in (maths.plugin, emphasis.plugin, addresses.plugin):
        made.use(plugin)
    return made


def _as_written(url: str) -> str:
    return url
