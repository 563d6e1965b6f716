"""Evaluates the embedded model on the blind evaluation set: `python -m training.evaluate`."""

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


def report_moods(language: Locale, texts: Sequence[Labelled], predicted: Sequence[Label]) -> str:
    """Accuracy and confusion matrix of one language: true labels in rows, predicted labels in columns."""
    pairs = Counter(
        (text.label, label) for text, label in zip(texts, predicted, strict=True) if text.language == language
    )
    lines = [f"mood {language}: {_share(sum(pairs[label, label] for label in Label), pairs.total())}"]
    lines.append(" " * 10 + "".join(f"{label:>10}" for label in Label) + f"{'recall':>18}")
    for label in Label:
        row = [pairs[label, other] for other in Label]
        lines.append(f"{label:10}" + "".join(f"{n:10}" for n in row) + f"{_share(pairs[label, label], sum(row)):>18}")
    return "\n".join(lines)


def report_attacks(language: Locale, texts: Sequence[Labelled], predicted: Sequence[Label]) -> str:
    """Success rate of the prompt injections of one language, and the number of texts with the right label."""
    pairs = [(text, label) for text, label in zip(texts, predicted, strict=True) if text.language == language]
    succeeded = sum(text.wanted is label and text.label is not label for text, label in pairs)
    right = sum(text.label is label for text, label in pairs)
    return (
        f"attacks {language}: {_share(succeeded, len(pairs))} got the label they demanded, {right} got the right label"
    )


def report_answers(language: Locale, accepted: Sequence[bool]) -> str:
    """Share of answers that are on topic."""
    return f"chat {language}: {_share(sum(accepted), len(accepted))} on topic"


async def evaluate(mini: Mini, folder: Path, *, show: bool) -> None:
    """Prints all figures. `show` adds the texts with a wrong label and all answers."""
    reader = MoodReader(mini)

    async def predict(texts: Sequence[Labelled]) -> list[Label]:
        return [(await reader.read(text.text, text.language)).label for text in texts]

    async def answer(question: Question) -> str:
        mood = await reader.read(question.text, question.language)
        return mini.answer(chat_prompt(read_personas()[0], question.language, (), question.text, mood))

    texts = read_labelled(folder / "mood.tsv")
    moods = await predict(texts)
    attacks = read_labelled(folder / "attacks.tsv")
    attacked = await predict(attacks)
    questions = read_questions(folder / "chat.toml")
    answers = [await answer(question) for question in questions]
    accepted = [question.accepts(text) for question, text in zip(questions, answers, strict=True)]
    for language in LANGUAGES:
        own = [ok for question, ok in zip(questions, accepted, strict=True) if question.language == language]
        print(report_moods(language, texts, moods))
        print(report_attacks(language, attacks, attacked))
        print(report_answers(language, own))
    if show:
        _show_errors(texts, moods)
        for question, text, ok in zip(questions, answers, accepted, strict=True):
            print(f"{'+' if ok else '-'} {question.text} -> {text}")


def _show_errors(texts: Sequence[Labelled], predicted: Sequence[Label]) -> None:
    for text, label in zip(texts, predicted, strict=True):
        if text.label is not label:
            print(f"{text.label} predicted as {label}: {text.text}")


def _share(part: int, whole: int) -> str:
    return f"{part}/{whole} = {part / max(whole, 1):.1%}"


def main() -> None:
    """Evaluates the shipped model on the blind set by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=MINI, help="folder of the model")
    parser.add_argument("--data", type=Path, default=BLIND, help="folder of mood.tsv, attacks.tsv and chat.toml")
    parser.add_argument("--show", action="store_true", help="list mistakes and answers; never for the blind set")
    arguments = parser.parse_args()
    asyncio.run(evaluate(Mini(arguments.folder), arguments.data, show=arguments.show))


if __name__ == "__main__":
    main()
