"""`python -m core.knowledge.converter .pdf|.docx|.html`: the document on standard input as text, within limits.

It opens no file and no connection, and reads what people see: no script, no hidden element and no comment.
"""

import io
import re
import sys
import zipfile
from collections.abc import Callable, Mapping
from typing import Final
from xml.etree import ElementTree

import mammoth
from bs4 import BeautifulSoup
from bs4.element import PreformattedString
from markdownify import ATX, MarkdownConverter
from pdfminer.pdfdocument import PDFPasswordIncorrect, PDFTextExtractionNotAllowed

from core.confinement import confine
from core.knowledge.conversion import REFUSED
from core.knowledge.pdf import pdf_markdown

NICENESS: Final = 5
CPU_SECONDS: Final = 60
MEMORY_BYTES: Final = 1 << 30
STACK_BYTES: Final = 8 << 20
MOST_CHARACTERS: Final = 8 << 20
"""Characters of a document's text; a small file can hold a huge one."""
MOST_UNPACKED_BYTES: Final = 64 << 20
OUTSIDE: Final = ("os.exec", "os.fork", "os.posix_spawn", "os.system", "socket.", "subprocess.")
"""Beginnings of the audit events of what no document may cause: connections and other programs."""

UNSEEN: Final = (
    "head, title, script, style, template, noscript, svg, iframe, object, audio, video, canvas, select, textarea,"
    " [hidden], [aria-hidden=true i]"
)
AROUND: Final = "nav, footer, aside, button, dialog, [role=navigation i], [role=search i]"
"""What stands around the text of a page. No form: some servers make the whole page one."""
INVISIBLE: Final = re.compile(
    r"(?:^|;)(?:display:none|visibility:(?:hidden|collapse)|(?:opacity|font-size):0(?:\.0*)?(?![.\d])|color:transparent"
    r"|(?:left|top|text-indent):-\d{3})"
)
"""In a style without spaces and comments."""
STYLE_COMMENT: Final = re.compile(r"/\*.*?\*/", re.DOTALL)
W: Final = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
OFF: Final = frozenset({"0", "false", "off"})
"""Values of a Word property that say that it does not hold."""
TITLE: Final = "p[style-name='Title'] => h1:fresh"


class Refused(Exception):
    """The document cannot be used; the text says why."""


def main() -> None:
    content = sys.stdin.buffer.read()
    confine(niceness=NICENESS, cpu_seconds=CPU_SECONDS, memory_bytes=MEMORY_BYTES, stack_bytes=STACK_BYTES)
    sys.addaudithook(stay_inside)
    try:
        text = _checked(READERS[sys.argv[1]](content))
    except Refused as error:
        sys.stdout.write(str(error))
        sys.exit(REFUSED)
    sys.stdout.buffer.write(text.encode("utf-8", "replace"))


def stay_inside(event: str, _arguments: object) -> None:
    """An audit hook, which cannot be removed again."""
    if event.startswith(OUTSIDE):
        raise PermissionError(event)


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
        style = STYLE_COMMENT.sub("", str(element["style"]).lower())
        if INVISIBLE.search("".join(style.split())):
            element.extract()
    for text in soup.find_all(string=lambda text: isinstance(text, PreformattedString)):
        text.extract()  # comments and declarations
    converter = MarkdownConverter(
        heading_style=ATX, strip=["a", "img"], escape_asterisks=False, escape_underscores=False, escape_misc=False
    )
    return str(converter.convert_soup(soup))


def from_docx(content: bytes) -> str:
    """Markdown of a Word document: headings, lists and tables, without pictures, comments and hidden text."""
    page = mammoth.convert_to_html(_without_hidden(content), style_map=TITLE, convert_image=lambda _image: [])
    return from_html(page.value.encode())


def _without_hidden(content: bytes) -> io.BytesIO:
    """The parts of Word itself, without a map of styles for mammoth, and without the runs that Word does not show."""
    shown = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as before, zipfile.ZipFile(shown, "w") as after:
        if sum(part.file_size for part in before.infolist()) > MOST_UNPACKED_BYTES:
            raise Refused(f"has more than {MOST_UNPACKED_BYTES >> 20} MiB when unpacked")
        for name in before.namelist():
            if name.endswith((".xml", ".rels")):
                part = before.read(name)
                after.writestr(name, _visible(part) if b"vanish" in part else part)
    return shown


def _visible(part: bytes) -> bytes:
    root = ElementTree.fromstring(part)  # noqa: S314  this process is limited
    for parent in list(root.iter()):
        for run in parent.findall(f"{W}r"):
            hidden = run.find(f"{W}rPr/{W}vanish")
            if hidden is not None and hidden.get(f"{W}val") not in OFF:
                parent.remove(run)
    return ElementTree.tostring(root)


def from_pdf(content: bytes) -> str:
    """Markdown of a PDF, if it has text that may be read."""
    try:
        text = pdf_markdown(content)
    except PDFPasswordIncorrect as error:
        raise Refused("is locked with a password") from error
    except PDFTextExtractionNotAllowed as error:
        raise Refused("does not allow its text to be read") from error
    if not text:
        raise Refused("has no text; a scanned document must be read by a text recognition first")
    return text


READERS: Final[Mapping[str, Callable[[bytes], str]]] = {
    ".pdf": from_pdf,
    ".docx": from_docx,
    ".html": from_html,
    ".htm": from_html,
}

if __name__ == "__main__":
    main()
