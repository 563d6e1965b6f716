"""Markdown as models write it: read into a tree, laid out as formatted text, and cut into messages."""

from bots.markdown.ending import ends_in_words, followed_by, with_paragraph
from bots.markdown.formatted import FormattedText, Kind, Span
from bots.markdown.html import as_html
from bots.markdown.layout import Layout, laid_out
from bots.markdown.split import end_that_fits, split
from bots.markdown.under_way import so_far

__all__ = [
    "FormattedText",
    "Kind",
    "Layout",
    "Span",
    "as_html",
    "end_that_fits",
    "ends_in_words",
    "followed_by",
    "laid_out",
    "so_far",
    "split",
    "with_paragraph",
]
