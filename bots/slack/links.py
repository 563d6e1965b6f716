"""Links in a text for Slack, which fetches them to show previews unless a message is posted without."""

import re
from dataclasses import replace

from bots.markdown import FormattedText, Kind
from bots.markdown.file_names import file_names
from bots.markdown.formatted import VERBATIM
from bots.slack.rendering import WORD_JOINER

LINK = re.compile(r"(?<=:)//|(?<=\w\.)(?=[^\W\d_]{2})")
"""Text that Slack may turn into a link, with a scheme or without."""
INSIDE_LINK = re.compile(r"(?<=:)(?=//)|(?<=\w\.)(?=[^\W\d_])")
IN_CODE = re.compile(r"(?<=:)//(?=\S)|(?<=\bwww\.)(?=[^\W\d_])")
"""Addresses in code. Other names with dots, such as "os.path", are no links there."""
INSIDE_CODE = re.compile(r"(?<=:)(?=//)|(?<=://)(?=\S)|(?<=\w\.)(?=[^\W\d_])")


def has_link(whole: FormattedText) -> bool:
    """Whether Slack may find a link in a text. Names of files are none."""
    prose = any(_found(LINK, whole, start, end) for start, end in whole.outside(*VERBATIM))
    code = any(IN_CODE.search(whole.text, span.start, span.end) for span in whole.of(*VERBATIM))
    return prose or code or bool(whole.of(Kind.LINK))


def without_links(whole: FormattedText) -> FormattedText:
    """The text with its links broken: by an invisible character in words, by a space in code. Labels stay as words."""
    edits = [
        (at, at, WORD_JOINER)
        for start, end in whole.outside(*VERBATIM)
        for at in _found(INSIDE_LINK, whole, start, end)
    ]
    for span in whole.of(*VERBATIM):
        if IN_CODE.search(whole.text, span.start, span.end):
            edits += [
                (found.start(), found.start(), " ") for found in INSIDE_CODE.finditer(whole.text, span.start, span.end)
            ]
    words = replace(whole, spans=tuple(span for span in whole.spans if span.kind is not Kind.LINK))
    return words.replaced(sorted(edits))


def _found(pattern: re.Pattern[str], whole: FormattedText, start: int, end: int) -> list[int]:
    """Where a pattern matches in a range, outside of names of files."""
    names = [(name.start(), name.end()) for name in file_names(whole.text, start, end)]
    found = (match.start() for match in pattern.finditer(whole.text, start, end))
    return [at for at in found if not any(begin < at < stop for begin, stop in names)]
