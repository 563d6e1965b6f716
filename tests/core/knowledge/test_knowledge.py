"""A folder of knowledge is searched, kept indexed, and never left."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest

from core.clock import ManualClock
from core.errors import KnowledgeUnusable
from core.knowledge import folder as folders
from core.knowledge.folder import read_sources
from core.knowledge.knowledge import LOOK, Knowledge, KnowledgeOptions, open_knowledge
from core.knowledge.lexicon import Floats
from core.knowledge.terms import folded, words

SHOP = Path(__file__).parents[3] / "config" / "faq" / "lantern-and-leaf.toml"


class WordEmbedder:
    """Vectors of the words of a text. It counts the texts that it was given."""

    name = "words"

    def __init__(self) -> None:
        self.embedded = 0

    def embed(self, texts: Sequence[str]) -> Floats:
        self.embedded += len(texts)
        rows = np.full((len(texts), 64), 0.01, np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in words(folded(text)):
                row[crc32(word.encode()) % 64] += 1
        vectors: Floats = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return vectors

    def usualness(self, question: Floats) -> float:
        return 0.0


@pytest.fixture
def options(tmp_path: Path) -> KnowledgeOptions:
    folder = tmp_path / "knowledge"
    folder.mkdir()
    (folder / "faq.toml").write_bytes(SHOP.read_bytes())
    return KnowledgeOptions(folder=folder, index_path=tmp_path / "knowledge.npz", embedder=None)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What are your opening hours?", "We are open Monday"),
        ("how do i cancel an order", "You can cancel an order"),
        ("可以退货吗", "未使用的商品"),
        ("可以退貨嗎", "未使用的商品"),
    ],
)
async def test_a_known_question_is_answered(options: KnowledgeOptions, question: str, answer: str) -> None:
    """A question that is a wording finds its answer, also in traditional characters, in the question's language."""
    findings = await Knowledge.read(options).search(question)
    assert findings.confident is not None
    assert findings.confident.passage.text.startswith(answer)


@pytest.mark.parametrize("question", ["Who won the world cup in 2014?", "讲个笑话", "?", "", "the of and"])
async def test_an_unknown_question_is_refused(options: KnowledgeOptions, question: str) -> None:
    """A question to which nothing fits has matches, none of them confident, and no grounds."""
    findings = await Knowledge.read(options).search(question)
    assert findings.confident is None
    assert findings.grounds == ()
    assert findings.matches


async def test_an_entry_is_found_in_the_language_asked_for(options: KnowledgeOptions) -> None:
    """A chosen language overrides that of the question."""
    findings = await Knowledge.read(options).search("opening hours", language="zh")
    assert {match.passage.language for match in findings.matches} == {"zh"}


async def test_a_section_of_a_document_is_a_ground(options: KnowledgeOptions) -> None:
    """A section of a document is never said word for word, and names its file and heading."""
    (options.folder / "tea.md").write_text("# Brewing oolong\n\nOolong tea draws for three minutes at 90 degrees.\n")
    findings = await Knowledge.read(options).search("How many minutes does oolong tea draw?")
    passage = findings.matches[0].passage
    assert (passage.file, passage.heading) == ("tea.md", "Brewing oolong")
    assert findings.confident is None


async def test_an_empty_folder_knows_nothing(options: KnowledgeOptions) -> None:
    """A folder without files can be searched, with an embedder and without."""
    (options.folder / "faq.toml").unlink()
    for embedder in (None, WordEmbedder()):
        assert (await Knowledge.read(replace(options, embedder=embedder)).search("Hello there")).matches == ()


async def test_the_index_is_loaded_if_nothing_changed(options: KnowledgeOptions) -> None:
    """A second start embeds nothing, and finds the same with the same scores."""
    embedder = WordEmbedder()
    chosen = replace(options, embedder=embedder)
    before = await Knowledge.read(chosen).search("How can I pay?")
    embedded = embedder.embedded
    again = Knowledge.read(chosen)
    assert embedder.embedded == embedded
    assert await again.search("How can I pay?") == before


async def test_only_new_texts_are_embedded(options: KnowledgeOptions) -> None:
    """If a file changes while the bot runs, the vectors of all other texts are used again; the same is found."""
    embedder = WordEmbedder()
    chosen = replace(options, embedder=embedder)
    knowledge = Knowledge.read(chosen)
    embedded = embedder.embedded
    (options.folder / "new.csv").write_text("questions,answer\nHow deep is the pool?|pool depth,Two metres.\n")
    assert await knowledge.refresh()
    assert embedder.embedded == embedded + 3
    options.index_path.unlink()
    assert await knowledge.search("How can I pay?") == await Knowledge.read(chosen).search("How can I pay?")


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 not a zip", b"\x93NUMPY"])
def test_a_damaged_index_is_built_again(options: KnowledgeOptions, damage: bytes) -> None:
    """A file that holds no index is replaced."""
    passages = Knowledge.read(options).passages
    options.index_path.write_bytes(damage)
    assert Knowledge.read(options).passages == passages
    assert options.index_path.stat().st_size > 1000


async def test_changed_files_are_read_again(options: KnowledgeOptions) -> None:
    """A changed file changes the version and what is found; a broken one changes nothing."""
    clock = ManualClock()
    async with open_knowledge(options, clock) as knowledge:
        version = knowledge.version
        (options.folder / "more.csv").write_text("questions,answer\nWho feeds the cat?,Ada does.\n")
        await clock.until_sleeping()
        clock.advance(LOOK)
        await clock.until_sleeping()
        findings = await knowledge.search("Who feeds the cat?")
        assert findings.version == knowledge.version != version
        assert findings.matches[0].passage.text == "Ada does."
        (options.folder / "more.csv").write_text("nonsense\n")
        clock.advance(LOOK)
        await clock.until_sleeping()
        assert knowledge.version == findings.version


def test_links_and_hidden_files_are_not_read(options: KnowledgeOptions, tmp_path: Path) -> None:
    """Neither links to files or folders, nor hidden ones, nor Word's locks, nor other kinds of files are read."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.md").write_text("secret")
    (options.folder / "link.md").symlink_to(outside / "secret.md")
    (options.folder / "linked").symlink_to(outside)
    (options.folder / ".hidden.md").write_text("secret")
    (options.folder / "~$open.docx").write_text("secret")
    (options.folder / "photo.jpg").write_text("secret")
    os.mkfifo(options.folder / "pipe.md")
    assert [source.name for source in read_sources(options.folder)] == ["faq.toml"]


def test_a_huge_file_is_refused(options: KnowledgeOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file over the limit is an error, and is not read to its end."""
    monkeypatch.setattr(folders, "MAX_FILE_BYTES", 100)
    with pytest.raises(KnowledgeUnusable, match="MiB"):
        read_sources(options.folder)
