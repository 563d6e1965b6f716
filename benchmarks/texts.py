"""The texts on which quality is measured: the bot's own prompts, and prose of ours in both languages."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.questions import LOCALE
from config.personas import load_persona
from core.inference.loader import LoadedModel
from core.inference.tokens.template import ChatMessage, Role
from core.models import EMBEDDED
from training.blind import BLIND, read_labelled

PROMPTS, FEW_PROMPTS = 200, 20
"""Prompts for the embedded model and for larger ones, whose steps take a hundred times as long."""
PROSE = Path(__file__).with_name("texts")
WINDOW = 512
"""Tokens of a passage. Each is read by itself."""


def prompts(model: LoadedModel, name: str) -> list[list[int]]:
    """Token ids of prompts with held-out sentences."""
    system = ChatMessage(role=Role.SYSTEM, text=load_persona("parley").system[LOCALE])
    texts = held_out_texts(PROMPTS if name == EMBEDDED else FEW_PROMPTS)
    return [model.template.build([system, ChatMessage(role=Role.USER, text=text)]) for text in texts]


def held_out_texts(many: int) -> list[str]:
    """Sentences of the blind evaluation set, evenly spaced."""
    found = read_labelled(BLIND / "mood.tsv")
    return [found[number * len(found) // many].text for number in range(many)]


def prose(model: LoadedModel) -> list[list[int]]:
    """Token ids of the prose, in passages."""
    texts = [model.vocabulary.encode(path.read_text("utf-8")) for path in sorted(PROSE.glob("*.txt"))]
    return [passage for ids in texts for passage in windows(ids)]


def windows(ids: Sequence[int]) -> list[list[int]]:
    """The ids in passages of `WINDOW`; the last one may be shorter."""
    return [list(ids[start : start + WINDOW]) for start in range(0, len(ids), WINDOW)]
