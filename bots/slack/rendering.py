"""Formatted text for Slack: as the part of Markdown that Slack shows, and as plain text for screen readers.

Slack shows no tables, rules and task lists (docs.slack.dev/reference/block-kit/blocks/markdown-block). It joins lines
that end without two spaces (arkedge/hubhook#342), and reads mentions everywhere.
"""

import re
from unicodedata import category

from bots.markdown import FormattedText, Kind, Layout, Span, laid_out
from bots.markdown.formatted import BLOCKS_OF_CODE, VERBATIM

LAYOUT = Layout(bullet="- ", quote="> ", code_has_prefix=True)
NOTHING = "…"
MARKS = {Kind.BOLD: "**", Kind.ITALIC: "*", Kind.STRIKE: "~~"}
MENTION = re.compile(r"<(?:[@#][A-Z0-9]+(?:\|[^<>]*)?>|!(?:channel|here|everyone|group)\b[^<>]*>|!(?:subteam|date)\^)")
"""Slack has no way to escape a mention in code, so code with one is shown as ordinary text."""
WORD_JOINER = "\u2060"
"""An invisible character. It helps a mark to be read as one: "**" does not close after a full stop, before a letter."""
SPECIAL = re.compile(
    r"[&<`]|\\(?=[!-/:-@\[-`{-~]|$)|(?<![^\W_])_|_(?![^\W_])|(?<!\s)\*|\*(?!\s)|~(?=~)|(?<=~)~"
    r"|\](?=[(:])"  # ends the label of a link
)
"""Characters that mean something in Markdown, or in Slack's own markup."""
SPACES = re.compile(r"^ +")
BRACKET = re.compile(r"(?<!\\)[\[\]]")
AT_LINE_START = re.compile(r"[-+](?=\s|$)|[-=](?=[-=]*\s*$)|#(?=#{0,5}(?:\s|$))|>|(?<=\d)[.)](?=\s|$)")
NUMBER = re.compile(r"\d{1,9}")
ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
IN_ADDRESS = str.maketrans({"&": "&amp;", "<": "%3C", ">": "%3E", "(": "%28", ")": "%29", " ": "%20", "|": "%7C"})
IN_BARE, TICKS, NO_BREAK_SPACE = re.compile(r"[*_~`\[\]]"), re.compile(r"`+"), "\u00a0"


def from_markdown(text: str) -> FormattedText:
    """A Markdown text as Slack shows it; "…" if it has no words."""
    whole = laid_out(text, LAYOUT)
    return whole if whole.text.strip() else FormattedText(text=NOTHING)


def plain(whole: FormattedText) -> str:
    """The text alone. The address of a link follows it in brackets."""
    links = [link for link in whole.of(Kind.LINK) if link.detail != whole.text[link.start : link.end]]
    return whole.replaced([(link.end, link.end, f" ({link.detail})") for link in links]).text


def markdown(whole: FormattedText) -> str:
    """The text in Slack's Markdown, without mentions."""
    return _Writer(whole).written()


class _Writer:
    """Writes one text from its beginning to its end. `_has_closed` says that the last thing written is a mark's end."""

    def __init__(self, whole: FormattedText) -> None:
        self._whole = whole
        self._out: list[str] = []
        self._open: list[Span] = []
        self._is_line_start = True
        self._has_closed = False
        self._starts = {span.start for span in whole.of(*MARKS)}
        self._prefixes = {span.start: span.end for span in whole.of(Kind.PREFIX)}
        items = (at for at, words in self._prefixes.items() if whole.text[at:words].strip(" >"))
        self._first_item = min(items, default=len(whole.text))
        blocks = whole.of(*BLOCKS_OF_CODE)
        self._code_edges = {span.start for span in blocks} | {span.end for span in blocks}

    def written(self) -> str:
        spans = [span for span in self._whole.spans if span.kind is not Kind.QUOTE]
        edges = sorted({0, len(self._whole.text), *(span.start for span in spans), *(span.end for span in spans)})
        waiting = list(reversed(spans))
        for at, until in zip(edges, [*edges[1:], edges[-1]], strict=True):
            while self._open and self._open[-1].end <= at:
                self._close(self._open.pop(), at)
            while waiting and waiting[-1].start <= at:
                self._begin(waiting.pop())
            self._text(at, until)
        return "".join(self._out)

    def _begin(self, span: Span) -> None:
        text = self._inner(span)
        match span.kind:
            case Kind.BOLD | Kind.ITALIC | Kind.STRIKE:
                is_joined = self._has_closed or not _bounds(self._whole.text[max(span.start - 1, 0) : span.start])
                self._put((WORD_JOINER if self._has_closed else "") + MARKS[span.kind])
                self._put(WORD_JOINER if is_joined and _is_punctuation(text[:1]) else "")
            case Kind.LINK:
                if self._out and self._out[-1].endswith("!"):  # it would be an image
                    self._out[-1] = f"{self._out[-1][:-1]}\\!"
                self._put("[" if text != span.detail else "")
            case Kind.CODE if not MENTION.search(text):
                self._put(_ticks(text) + " " * _needs_space(text))
            case Kind.PRE | Kind.TABLE if not MENTION.search(text):
                language = span.detail if span.kind is Kind.PRE else ""
                self._put(f"{_fence(text)}{language}\n{span.prefix}")
        self._open.append(span)
        self._has_closed = False

    def _close(self, span: Span, at: int) -> None:
        text = self._inner(span)
        match span.kind:
            case Kind.BOLD | Kind.ITALIC | Kind.STRIKE:
                is_joined = at in self._starts or not _bounds(self._whole.text[at : at + 1])
                self._put((WORD_JOINER if is_joined and _is_punctuation(text[-1:]) else "") + MARKS[span.kind])
                self._has_closed = True
            case Kind.LINK if text != span.detail:
                self._put(f"]({span.detail.translate(IN_ADDRESS)})")
            case Kind.CODE if not MENTION.search(text):
                self._put(" " * _needs_space(text) + _ticks(text))
            case Kind.PRE | Kind.TABLE if not MENTION.search(text):
                self._put(f"\n{span.prefix}{_fence(text)}")

    def _text(self, at: int, until: int) -> None:
        """Write a range of the text. Its lines begin where the last piece ended."""
        text = self._whole.text[at:until]
        if not text:
            return
        kinds = {span.kind for span in self._open}
        if Kind.PREFIX in kinds:
            self._out.append(text)
            return
        verbatim = next((span for span in self._open if span.kind in VERBATIM), None)
        link = next((span for span in self._open if span.kind is Kind.LINK), None)
        if verbatim and not MENTION.search(self._inner(verbatim)):
            self._put(text)
        elif link and self._inner(link) == link.detail:
            self._put(_bare(text))
        else:
            self._prose(text, at, in_code=verbatim is not None, in_link=link is not None)

    def _prose(self, text: str, at: int, *, in_code: bool, in_link: bool) -> None:
        for line in text.splitlines(keepends=True):
            words = line.removesuffix("\n")
            shown = escaped_markdown(words, at_line_start=self._is_line_start)
            if in_code:
                shown = SPACES.sub(lambda spaces: NO_BREAK_SPACE * len(spaces[0]), shown)
            at += len(line)
            if in_link:
                shown = BRACKET.sub(r"\\\g<0>", shown)
            elif shown.endswith("]") and self._whole.text[at : at + 1] == "(":
                shown = f"{shown[:-1]}\\]"
            self._put(shown)
            if line.endswith("\n"):
                self._put("  \n" if in_code else self._line_break(at - 1))
                self._is_line_start = True

    def _line_break(self, at: int) -> str:
        """The line break at an offset: a hard one between two lines of text, which Slack would join."""
        text, line = self._whole.text, self._whole.text.rfind("\n", 0, at) + 1
        words = self._prefixes.get(at + 1, at + 1)
        prefix, is_last = text[at + 1 : words], text[words : words + 1] in {"", "\n"}
        is_after_blank = self._prefixes.get(line, line) >= at
        if item := prefix.strip(" >"):
            begins_list = at < self._first_item and (is_last or item[0].isdigit())  # would be text in a paragraph
            return f"\n{prefix[: prefix.rfind('>') + 1]}\n" if begins_list and not is_after_blank else "\n"
        return "\n" if is_last or is_after_blank or {at, words} & self._code_edges else "  \n"

    def _put(self, text: str) -> None:
        if text:
            self._out.append(text)
            self._is_line_start = False
            self._has_closed = False

    def _inner(self, span: Span) -> str:
        return self._whole.text[span.start : span.end]


def escaped_markdown(words: str, *, at_line_start: bool) -> str:
    """A piece of a line so that Slack shows it as it is."""
    number = NUMBER.match(words) if at_line_start else None
    at = number.end() if number else 0
    mark = AT_LINE_START.match(words, at) if at_line_start else None
    if mark is None or (number is None) == (mark[0] in ".)"):
        return SPECIAL.sub(_escaped, words)
    return words[:at] + _escaped(mark) + SPECIAL.sub(_escaped, words[mark.end() :])


def _escaped(special: re.Match[str]) -> str:
    return ENTITIES.get(special[0]) or f"\\{special[0]}"


def _bare(address: str) -> str:
    """An address without a label; with itself as the label if some of its signs could be read as markup."""
    if IN_BARE.search(address):
        return f"[{SPECIAL.sub(_escaped, address)}]({address.translate(IN_ADDRESS)})"
    return address.replace("&", "&amp;")


def _ticks(code: str) -> str:
    """The fewest backticks that the code does not hold in a row."""
    runs = set(map(len, TICKS.findall(code)))
    return "`" * next(count for count in range(1, len(runs) + 2) if count not in runs)


def _fence(code: str) -> str:
    return "`" * max(3, 1 + max(map(len, TICKS.findall(code)), default=0))


def _needs_space(code: str) -> bool:
    """Whether spaces are needed between code and its backticks, which drop one space at both sides."""
    return code.startswith("`") or code.endswith("`") or (code[0] == code[-1] == " " and not code.isspace())


def _is_punctuation(char: str) -> bool:
    return bool(char) and category(char)[0] in "PS"


def _bounds(char: str) -> bool:
    return not char or char.isspace() or _is_punctuation(char)
