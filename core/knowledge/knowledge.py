"""The knowledge of a running bot: a folder's passages, searched, and indexed again when files change."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import structlog

from core.clock import Clock
from core.errors import KnowledgeUnusable
from core.knowledge.folder import Source, digest, read_sources, stamp
from core.knowledge.index import Index, build_index
from core.knowledge.meaning import Embedder
from core.knowledge.passages import Findings, Passage
from core.knowledge.readers import read_passages
from core.knowledge.saving import load_index, save_index
from core.knowledge.searching import search
from core.messages import Locale
from core.progress import Progress, unwatched

log = structlog.get_logger()

FORMAT = 2
"""Counts what changes an index of the same files: terms, vectors, the form of the saved file."""
LOOK = 5.0
"""Seconds between two looks for changed files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnowledgeOptions:
    """The folder of knowledge, the file that keeps its index, and the embedder if one is installed."""

    folder: Path
    index_path: Path
    embedder: Embedder | None


class Knowledge:
    """Passages that can be searched. `version` changes with any of them, and is part of an answer cache's key."""

    def __init__(self, options: KnowledgeOptions, index: Index, seen: object) -> None:
        self._options = options
        self._index = index
        self._seen = seen

    @classmethod
    def read(cls, options: KnowledgeOptions, progress: Progress = unwatched) -> Self:
        """The knowledge of the folder; its index is loaded if the files are the same, else built and saved.

        Blocks, for a minute if ten thousand passages are embedded. Raises KnowledgeUnusable.
        """
        seen = stamp(options.folder)
        return cls(options, _indexed(options, progress), seen)

    @property
    def version(self) -> str:
        return self._index.version

    @property
    def passages(self) -> tuple[Passage, ...]:
        return self._index.passages

    async def search(self, question: str, *, language: Locale | None = None, limit: int = 5) -> Findings:
        """The passages that fit a question best. An entry in several languages is found in `language`."""
        return await asyncio.to_thread(
            search, self._index, self._options.embedder, question, language=language, limit=limit
        )

    async def with_passage(self, passage: Passage) -> Self:
        """What it would be if it had one passage more."""
        passages = (*self.passages, passage)
        index = await asyncio.to_thread(
            build_index, passages, self._options.embedder, version=self.version, before=self._index
        )
        return type(self)(self._options, index, self._seen)

    async def refresh(self) -> bool:
        """Index the folder again if a file changed; whether one did. Until it is done searches see the old passages.

        Raises KnowledgeUnusable, once for each change; the old passages stay.
        """
        seen = await asyncio.to_thread(stamp, self._options.folder)
        if seen == self._seen:
            return False
        self._seen = seen
        before, self._index = self._index, await asyncio.to_thread(_indexed, self._options, before=self._index)
        return self._index.version != before.version


@asynccontextmanager
async def open_knowledge(
    options: KnowledgeOptions, clock: Clock, progress: Progress = unwatched
) -> AsyncIterator[Knowledge]:
    """The folder's knowledge; until the context is left, changed files are read again. Raises KnowledgeUnusable."""
    knowledge = await asyncio.to_thread(Knowledge.read, options, progress)
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(_watch(knowledge, clock))
        try:
            yield knowledge
        finally:
            watching.cancel()


async def _watch(knowledge: Knowledge, clock: Clock) -> None:
    while True:
        await clock.sleep(LOOK)
        try:
            if await knowledge.refresh():
                log.info("knowledge changed", version=knowledge.version, passages=len(knowledge.passages))
        except KnowledgeUnusable as error:
            log.warning("knowledge stays as it was", file=error.file, line=error.line, reason=error.reason)


def _indexed(options: KnowledgeOptions, progress: Progress = unwatched, *, before: Index | None = None) -> Index:
    sources = read_sources(options.folder)
    version = _version(sources, options.embedder)
    index = load_index(options.index_path, version)
    if index is None:
        passages = read_passages(sources)
        log.info("indexing the knowledge", passages=len(passages))
        index = build_index(passages, options.embedder, version=version, before=before, progress=progress)
        try:
            save_index(index, options.index_path)
        except OSError as error:
            log.warning("the index of the knowledge is not kept", reason=error.strerror)
    return index


def _version(sources: tuple[Source, ...], embedder: Embedder | None) -> str:
    return f"{FORMAT}-{embedder.name if embedder else 'terms'}-{digest(sources)}"
