"""A strict bot's folder of knowledge, which is read again when it changes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from core.clock import Clock
from core.engine.scripted import ScriptedEngine
from core.intent import Intent, IntentReader
from core.knowledge.knowledge import KnowledgeOptions, open_knowledge
from core.stages.knowledge import Expertise


@asynccontextmanager
async def open_shop(folder: Path, clock: Clock) -> AsyncIterator[Expertise]:
    """What is known in a folder, in which there is one entry."""
    knowledge = folder / "knowledge"
    knowledge.mkdir(exist_ok=True)
    (knowledge / "faq.csv").write_text("questions,answer\nDo you sell umbrellas?,In blue and green.\n")
    engine = ScriptedEngine.fixed()
    engine.intent = lambda _: Intent.QUESTION
    options = KnowledgeOptions(folder=knowledge, index_path=folder / "index", embedder=None)
    async with open_knowledge(options, clock) as known:
        yield Expertise(knowledge=known, folder=knowledge, intents=IntentReader(engine), strict=True)
