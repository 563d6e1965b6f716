"""How good the embedded model is on sentences no template made: `python -m training.evaluate`."""

import argparse
import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from core.messages import Label, Locale
from core.prompt import chat_prompt
from core.stages.mood import MoodReader
from training.blind import BLIND, Labelled, Question, read_labelled, read_questions
from training.mini import Mini
from training.personas import read_personas
from training.sample import LANGUAGES
from training.seal import MINI


def report_moods(language: Locale, texts: Sequence[Labelled], read: Sequence[Label]) -> str:
    """Accuracy, and a table with the true label on the left and what was read on top."""
    pairs = Counter((text.label, label) for text, label in zip(texts, read, strict=True) if text.language == language)
    lines = [f"mood {language}: {_share(sum(pairs[label, label] for label in Label), pairs.total())}"]
    lines.append(" " * 10 + "".join(f"{label:>10}" for label in Label) + f"{'recall':>18}")
    for label in Label:
        row = [pairs[label, other] for other in Label]
        lines.append(f"{label:10}" + "".join(f"{n:10}" for n in row) + f"{_share(pairs[label, label], sum(row)):>18}")
    return "\n".join(lines)


def report_attacks(language: Locale, texts: Sequence[Labelled], read: Sequence[Label]) -> str:
    """How many texts that beg for a label get it, and how many are read as what they say."""
    pairs = [(text, label) for text, label in zip(texts, read, strict=True) if text.language == language]
    won = sum(text.wanted is label and text.label is not label for text, label in pairs)
    right = sum(text.label is label for text, label in pairs)
    return f"attacks {language}: {_share(won, len(pairs))} got the label they begged for, {right} were read right"


def report_answers(language: Locale, met: Sequence[bool]) -> str:
    """The share of answers on topic."""
    return f"chat {language}: {_share(sum(met), len(met))} on topic"


async def evaluate(mini: Mini, folder: Path, *, show: bool) -> None:
    """Prints every figure; with `show` also what was read wrongly and what was answered."""
    reader = MoodReader(mini)

    async def read(texts: Sequence[Labelled]) -> list[Label]:
        return [(await reader.read(text.text, text.language)).label for text in texts]

    async def answer(question: Question) -> str:
        mood = await reader.read(question.text, question.language)
        return mini.answer(chat_prompt(read_personas()[0], question.language, (), question.text, mood))

    texts = read_labelled(folder / "mood.tsv")
    labels = await read(texts)
    attacks = read_labelled(folder / "attacks.tsv")
    won = await read(attacks)
    questions = read_questions(folder / "chat.toml")
    answers = [await answer(question) for question in questions]
    met = [question.is_met_by(said) for question, said in zip(questions, answers, strict=True)]
    for language in LANGUAGES:
        print(report_moods(language, texts, labels))
        print(report_attacks(language, attacks, won))
        print(report_answers(language, [ok for q, ok in zip(questions, met, strict=True) if q.language == language]))
    if show:
        _show(texts, labels)
        for question, said, ok in zip(questions, answers, met, strict=True):
            print(f"{'+' if ok else '-'} {question.text} -> {said}")


def _show(texts: Sequence[Labelled], read: Sequence[Label]) -> None:
    for text, label in zip(texts, read, strict=True):
        if text.label is not label:
            print(f"{text.label} read as {label}: {text.text}")


def _share(part: int, whole: int) -> str:
    return f"{part}/{whole} = {part / max(whole, 1):.1%}"


def main() -> None:
    """Evaluates the shipped model on the blind set, or another one on other files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=MINI)
    parser.add_argument("--data", type=Path, default=BLIND)
    parser.add_argument("--show", action="store_true", help="list mistakes and answers; never for the blind set")
    arguments = parser.parse_args()
    asyncio.run(evaluate(Mini(arguments.folder), arguments.data, show=arguments.show))


if __name__ == "__main__":
    main()
