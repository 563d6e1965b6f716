"""`python -m core.knowledge.converter .pdf|.docx|.html`: the document on standard input as text, within limits.

It opens no file and no connection, and reads what people see: no script, no hidden element and no comment.
"""

import io
import re
import sys
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import Final

import mammoth
from bs4 import BeautifulSoup
from bs4.element import PreformattedString
from markdownify import ATX, MarkdownConverter
from pdfminer.high_level import extract_text
from pdfminer.pdfdocument import PDFPasswordIncorrect, PDFTextExtractionNotAllowed

from core.confinement import confine
from core.knowledge.conversion import REFUSED
from core.language import HAN

NICENESS: Final = 5
CPU_SECONDS: Final = 60
MEMORY_BYTES: Final = 1 << 30
STACK_BYTES: Final = 8 << 20
MOST_CHARACTERS: Final = 8 << 20
"""Characters of a document's text; a small file can hold a huge one."""
MOST_UNPACKED_BYTES: Final = 64 << 20

UNSEEN: Final = "head, title, script, style, template, noscript, svg, iframe, object, [hidden], [aria-hidden=true]"
AROUND: Final = "nav, footer, aside, form, button, dialog"
"""What stands around the text of a page."""
INVISIBLE: Final = re.compile(
    r"display:none|visibility:hidden|opacity:0(?:[;.]|$)|font-size:0|color:transparent|(?:left|top|text-indent):-\d{3}"
)
"""In a style without spaces."""
PAGE_NUMBER: Final = re.compile(r"(?:page|seite|第)?\s*\d+\s*(?:(?:/|of|von|页)\s*\d*)?\s*页?", re.IGNORECASE)
EDGE: Final = 2
"""Lines at the top and at the bottom of a page that may be its head and foot."""
HYPHEN: Final = re.compile(r"(?<=[^\W\d_])-\n(?=[a-z])")


class Refused(Exception):
    """The document cannot be used; the text says why."""


def main() -> None:
    content = sys.stdin.buffer.read()
    confine(niceness=NICENESS, cpu_seconds=CPU_SECONDS, memory_bytes=MEMORY_BYTES, stack_bytes=STACK_BYTES)
    try:
        text = _checked(READERS[sys.argv[1]](content))
    except Refused as error:
        sys.stdout.write(str(error))
        sys.exit(REFUSED)
    sys.stdout.buffer.write(text.encode("utf-8", "replace"))


def _checked(text: str) -> str:
    if not text.strip():
        raise Refused("has no text")
    if len(text) > MOST_CHARACTERS:
        raise Refused(f"has more than {MOST_CHARACTERS:,} characters of text")
    return text


def from_html(content: bytes) -> str:
    """Markdown of what a reader of the page sees. Its encoding is that which it declares."""
    soup = BeautifulSoup(content, "html.parser")
    for element in soup.select(f"{UNSEEN}, {AROUND}"):
        element.extract()
    for element in soup.select("[style]"):
        if INVISIBLE.search("".join(str(element["style"]).lower().split())):
            element.extract()
    for text in soup.find_all(string=lambda text: isinstance(text, PreformattedString)):
        text.extract()  # comments and declarations
    converter = MarkdownConverter(
        heading_style=ATX, strip=["a", "img"], escape_asterisks=False, escape_underscores=False, escape_misc=False
    )
    return str(converter.convert_soup(soup))


def from_docx(content: bytes) -> str:
    """Markdown of a Word document: headings, lists and tables, without pictures and comments."""
    with zipfile.ZipFile(io.BytesIO(content)) as parts:
        if sum(part.file_size for part in parts.infolist()) > MOST_UNPACKED_BYTES:
            raise Refused(f"has more than {MOST_UNPACKED_BYTES >> 20} MiB when unpacked")
    page = mammoth.convert_to_html(io.BytesIO(content), convert_image=lambda _image: [])
    return from_html(page.value.encode())


def from_pdf(content: bytes) -> str:
    """Paragraphs with empty lines between them, without page numbers and the lines that each page repeats."""
    try:
        text = extract_text(io.BytesIO(content))
    except PDFPasswordIncorrect as error:
        raise Refused("is locked with a password") from error
    except PDFTextExtractionNotAllowed as error:
        raise Refused("does not allow its text to be read") from error
    pages = [_lines(page) for page in text.split("\f") if page.strip()]
    if not pages:
        raise Refused("has no text; a scanned document must be read by a text recognition first")
    repeated = _repeated(pages)
    return "\n\n".join(_paragraphs(line for line in page if line not in repeated) for page in pages)


def _lines(page: str) -> list[str]:
    lines = map(str.strip, page.strip().split("\n"))
    return [line for line in lines if not PAGE_NUMBER.fullmatch(line)]


def _repeated(pages: list[list[str]]) -> frozenset[str]:
    """Lines at the edge of most of the pages, if there are a few pages: their heads and feet."""
    filled = ([line for line in page if line] for page in pages)
    counts = Counter(line for lines in filled for line in {*lines[:EDGE], *lines[-EDGE:]})
    return frozenset(line for line, count in counts.items() if count > max(2, len(pages) / 2))


def _paragraphs(lines: Iterable[str]) -> str:
    paragraphs = (paragraph.strip("\n") for paragraph in "\n".join(lines).split("\n\n"))
    return "\n\n".join(_unwrapped(paragraph) for paragraph in paragraphs if paragraph)


def _unwrapped(paragraph: str) -> str:
    """A paragraph on one line: a word that was cut by a hyphen is whole again, and Chinese gets no space."""
    lines = HYPHEN.sub("", paragraph).split("\n")
    joined = lines[0]
    for line, following in pairwise(lines):
        is_chinese = HAN.match(line[-1:]) and HAN.match(following[:1])
        joined += following if is_chinese else f" {following}"
    return joined


READERS: Final[Mapping[str, Callable[[bytes], str]]] = {
    ".pdf": from_pdf,
    ".docx": from_docx,
    ".html": from_html,
    ".htm": from_html,
}

if __name__ == "__main__":
    main()
