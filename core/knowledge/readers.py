"""From files to passages."""

import csv
import io
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from core.errors import KnowledgeUnusable
from core.i18n import LOCALES
from core.knowledge.conversion import converted
from core.knowledge.documents import markdown_sections, text_sections
from core.knowledge.folder import Source
from core.knowledge.passages import Passage
from core.language import language_of
from core.messages import Locale
from core.text import clean

MAX_PASSAGES = 10_000
MAX_ANSWER_CHARACTERS = 4_000
"""Longest answer of an FAQ entry; it is one message."""


def read_passages(sources: Iterable[Source]) -> tuple[Passage, ...]:
    """All passages in the order of their files. Raises KnowledgeUnusable with file and line."""
    passages: list[Passage] = []
    for source in sources:
        passages += _read(source)
        if len(passages) > MAX_PASSAGES:
            raise KnowledgeUnusable(
                file=source.name, reason=f"passes the limit of {MAX_PASSAGES:,} passages; remove or split off files"
            )
    return tuple(passages)


def _read(source: Source) -> Iterator[Passage]:
    match PurePosixPath(source.name).suffix.lower():
        case ".toml":
            return _toml_entries(source.name, _decoded(source))
        case ".csv":
            return _csv_entries(source.name, _decoded(source))
        case ".txt":
            return _sections(source.name, text_sections(_decoded(source)))
        case (".pdf" | ".docx" | ".html" | ".htm") as suffix:
            return _sections(source.name, markdown_sections(converted(source, suffix)))
        case _:
            return _sections(source.name, markdown_sections(_decoded(source)))


def _decoded(source: Source) -> str:
    """The text without a byte order mark, with normal line ends."""
    try:
        text = source.content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = source.content.count(b"\n", 0, error.start) + 1
        raise KnowledgeUnusable(file=source.name, line=line, reason="is not UTF-8; save it as UTF-8") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _sections(file: str, sections: Iterable[tuple[str, str]]) -> Iterator[Passage]:
    for number, (heading, text) in enumerate(sections, start=1):
        cleaned = clean(text)
        if cleaned:
            yield Passage(
                id=f"{file}#{number}",
                entry=f"{file}#{number}",
                language=language_of(cleaned),
                text=cleaned,
                file=file,
                heading=clean(heading),
                is_answer=False,
            )


def _toml_entries(file: str, text: str) -> Iterator[Passage]:
    """Tables [[entry]] with a table for each language: `questions`, a list, and `answer`."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise KnowledgeUnusable(file=file, reason=f"is not TOML: {error}") from error
    lines = [number for number, line in enumerate(text.split("\n"), start=1) if line.strip() == "[[entry]]"]
    entries = tables.get("entry")
    if set(tables) != {"entry"} or not isinstance(entries, list):
        raise KnowledgeUnusable(file=file, reason="should consist of tables [[entry]]")
    for number, entry in enumerate(entries, start=1):
        line = lines[number - 1] if len(lines) == len(entries) else None
        if not isinstance(entry, dict) or not entry:
            raise KnowledgeUnusable(file=file, line=line, reason="an entry needs a table [entry.en] or [entry.zh]")
        for language, words in entry.items():
            if not isinstance(words, dict) or set(words) != {"questions", "answer"}:
                raise KnowledgeUnusable(file=file, line=line, reason=f"{language}: needs questions and answer, only")
            questions = words["questions"]
            if not isinstance(questions, list):
                raise KnowledgeUnusable(file=file, line=line, reason=f"{language}: questions should be a list")
            yield _entry(file, line, f"{file}#{number}", language, questions, words["answer"])


def _csv_entries(file: str, text: str) -> Iterator[Passage]:
    """Columns `questions`, with | or line breaks between wordings, `answer`, and if wanted `language` and `entry`.

    Rows with the same value of `entry` are one entry in several languages.
    """
    rows = csv.DictReader(io.StringIO(text), strict=True, restkey="", restval="")
    try:
        columns = set(rows.fieldnames or ())
        if not {"questions", "answer"} <= columns <= {"questions", "answer", "language", "entry"}:
            raise KnowledgeUnusable(
                file=file, line=1, reason="needs the columns questions and answer, and may have language and entry"
            )
        seen: Counter[str] = Counter()
        for number, row in enumerate(rows, start=1):
            if "" in row:
                raise KnowledgeUnusable(file=file, line=rows.line_num, reason="has more fields than columns")
            questions = row["questions"].replace("\n", "|").split("|")
            language = row.get("language", "").strip() or language_of(row["questions"]) or "en"
            entry = f"{file}#{row.get('entry', '').strip() or number}"
            seen[f"{entry}.{language}"] += 1
            if seen[f"{entry}.{language}"] > 1:
                raise KnowledgeUnusable(file=file, line=rows.line_num, reason=f"the entry has {language} already")
            yield _entry(file, rows.line_num, entry, language, [q for q in questions if q.strip()], row["answer"])
    except csv.Error as error:
        raise KnowledgeUnusable(file=file, line=rows.line_num, reason=f"is not CSV: {error}") from error


def _entry(
    file: str, line: int | None, entry: str, language: str, questions: Sequence[object], answer: object
) -> Passage:
    known: Mapping[str, Locale] = {locale: locale for locale in LOCALES}
    if language not in known:
        raise KnowledgeUnusable(file=file, line=line, reason=f"language {language} is none of {', '.join(known)}")
    wordings = tuple(clean(question) for question in questions if isinstance(question, str))
    if not wordings or len(wordings) < len(questions) or not all(wordings):
        raise KnowledgeUnusable(file=file, line=line, reason=f"{language}: questions should be texts, at least one")
    text = clean(answer) if isinstance(answer, str) else ""
    if not text or len(text) > MAX_ANSWER_CHARACTERS:
        raise KnowledgeUnusable(
            file=file, line=line, reason=f"{language}: answer should be a text of at most {MAX_ANSWER_CHARACTERS:,}"
        )
    return Passage(
        id=f"{entry}.{language}",
        entry=entry,
        language=known[language],
        wordings=wordings,
        text=text,
        file=file,
        heading=wordings[0],
        is_answer=True,
    )
