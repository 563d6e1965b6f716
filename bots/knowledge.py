"""`parley knowledge`: the passages of the folder, and what a question finds there."""

import asyncio
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from bots.folders import private_folder
from bots.progress import counting
from bots.stores import open_existing_store
from config.options import knowledge_options
from config.settings import Settings
from core.errors import ConfigError, KnowledgeUnusable
from core.knowledge.folder import MAX_FILE_BYTES, SUFFIXES, Source, read_sources
from core.knowledge.gaps import MOST_QUESTIONS, open_gaps
from core.knowledge.knowledge import Knowledge
from core.knowledge.passages import Findings, Match, Passage
from core.knowledge.readers import read_passages
from core.knowledge.terms import folded
from core.text import shortened

NEAREST = 2
"""Passages that are printed for each gap."""
SHOWN_CHARACTERS = 300
"""Characters of a passage that a search prints."""


def list_files(settings: Settings, out: TextIO) -> None:
    """Print a line for each file: its answers, sections and languages. Raises KnowledgeUnusable."""
    for source in read_sources(_folder(settings)):
        passages = read_passages([source])
        answers = sum(passage.is_answer for passage in passages)
        languages = ", ".join(sorted({passage.language or "?" for passage in passages}))
        print(f"{source.name}: {answers} answers, {len(passages) - answers} sections ({languages})", file=out)


def check_files(settings: Settings, out: TextIO) -> None:
    """Read and index everything, and name wordings that stand in several entries. Raises KnowledgeUnusable."""
    knowledge = _opened(settings)
    for wording, entries in _doubled(knowledge.passages):
        print(f"the same question has several answers: {wording} ({', '.join(entries)})", file=out)
    print(f"{len(knowledge.passages)} passages, version {knowledge.version}", file=out)


def search_files(settings: Settings, question: str, out: TextIO) -> None:
    """Print the passages that fit a question best, with their scores and the thresholds."""
    _print(asyncio.run(_opened(settings).search(question)), out)


def add_file(settings: Settings, file: Path, out: TextIO) -> None:
    """Copy a file to the folder, if all can be read then. Raises KnowledgeUnusable."""
    folder = _folder(settings)
    if file.suffix.lower() not in SUFFIXES:
        raise KnowledgeUnusable(file=file.name, reason=f"should end in {', '.join(sorted(SUFFIXES))}")
    source = Source(name=file.name, content=_content(file))
    added = len(read_passages([source]))
    total = len(read_passages([*read_sources(folder), source]))
    try:
        with (folder / file.name).open("xb") as copy:
            copy.write(source.content)
    except OSError as error:
        raise KnowledgeUnusable(file=str(folder / file.name), reason=error.strerror or "cannot be written") from error
    print(f"{file.name}: {added} passages added, {total} in all", file=out)


def print_gaps(settings: Settings, out: TextIO) -> None:
    """Print the questions without a good answer that the folder still does not answer, and what is nearest to them.

    Raises ConfigError if there is no store yet.
    """
    asyncio.run(_print_gaps(settings, _opened(settings), out))


async def _print_gaps(settings: Settings, knowledge: Knowledge, out: TextIO) -> None:
    async with open_existing_store(settings) as store:
        gaps = await open_gaps(store, knowledge, MOST_QUESTIONS)
    for found in gaps:
        questions, first = found.gap.questions, found.gap.first
        signs = ", ".join(sorted({question.sign for question in questions}))
        text = shortened(" ".join(first.text.split()), SHOWN_CHARACTERS)
        print(f"{len(questions)} x  {text}  ({first.locale}; {signs})", file=out)
        for match in found.findings.matches[:NEAREST]:
            print(f"      {match.score:.2f}  {match.passage.id}  {match.passage.heading}", file=out)


def _folder(settings: Settings) -> Path:
    if settings.knowledge.folder is None:
        raise ConfigError("knowledge.folder", "is not set")
    return settings.knowledge.folder


def _opened(settings: Settings) -> Knowledge:
    options = knowledge_options(settings)
    if options is None:
        raise ConfigError("knowledge.folder", "is not set")
    private_folder(settings.data_dir)
    with counting("indexing the knowledge") as progress:
        return Knowledge.read(options, progress)


def _content(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise KnowledgeUnusable(file=str(file), reason=error.strerror or os.strerror(error.errno or 0)) from error
    if len(content) > MAX_FILE_BYTES:
        raise KnowledgeUnusable(file=str(file), reason=f"has more than {MAX_FILE_BYTES >> 20} MiB")
    return content


def _doubled(passages: tuple[Passage, ...]) -> Iterator[tuple[str, list[str]]]:
    """Wordings that stand in more than one entry, and these entries."""
    pairs = {(folded(wording), passage.entry): wording for passage in passages for wording in passage.wordings}
    counts = Counter(wording for wording, _ in pairs)
    for wording, count in counts.items():
        if count > 1:
            yield wording, sorted(entry for text, entry in pairs if text == wording)


def _print(findings: Findings, out: TextIO) -> None:
    for match in findings.matches:
        print(f"{match.score:.2f}  {match.passage.id}  {_verdict(match)}", file=out)
        cosine = "" if match.cosine is None else f", cosine {match.cosine:.2f}"
        print(f"      {match.passage.heading} (coverage {match.coverage:.2f}{cosine})", file=out)
        print(f"      {shortened(' '.join(match.passage.text.split()), SHOWN_CHARACTERS)}", file=out)


def _verdict(match: Match) -> str:
    bars = match.thresholds
    if match.is_answer:
        return f"said word for word, from {bars.answer:.2f} on"
    if match.is_ground:
        return f"a ground for the model, from {bars.ground:.2f} on"
    return f"too unlike, below {bars.ground:.2f}"
