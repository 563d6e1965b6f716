"""Evaluates a model as the product runs it: `python -m training.evaluate [MODEL]`.

MODEL is "mini", a folder or a GGUF file. It is served by Parley's own model server, and read through its client.
"""

import argparse
import asyncio
import statistics
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from bots.app import CALIBRATION, open_engine
from config.settings import EngineSettings, Settings
from core.clock import SystemClock
from core.engine.protocol import Engine
from core.intent import IntentReader
from core.messages import Exchange, Label, Locale
from core.stages.mood import MoodReader
from training.blind import (
    ATTACKS,
    BLIND,
    INTENTS,
    MOODS,
    QUESTIONS,
    REMARKS,
    Labelled,
    Question,
    Remark,
    read_intents,
    read_labelled,
    read_questions,
    read_remarks,
)
from training.personas import read_personas
from training.replies import Answered, Writer
from training.sample import LANGUAGES

L = TypeVar("L", bound=StrEnum)
PATIENCE = 900.0
"""Seconds that the model may take to start: on a slow machine, rounding it to int4 takes minutes."""


def report_labels(name: str, language: Locale, texts: Sequence[Labelled[L]], predicted: Sequence[L]) -> str:
    """Accuracy and confusion matrix of one language: true labels in rows, predicted labels in columns."""
    labels = type(texts[0].label)
    pairs = Counter(
        (text.label, label) for text, label in zip(texts, predicted, strict=True) if text.language == language
    )
    lines = [f"{name} {language}: {_share(sum(pairs[label, label] for label in labels), pairs.total())}"]
    lines.append(" " * 10 + "".join(f"{label:>10}" for label in labels) + f"{'recall':>18}")
    for label in labels:
        row = [pairs[label, other] for other in labels]
        lines.append(f"{label:10}" + "".join(f"{n:10}" for n in row) + f"{_share(pairs[label, label], sum(row)):>18}")
    return "\n".join(lines)


def report_attacks(name: str, language: Locale, texts: Sequence[Labelled[Label]], predicted: Sequence[Label]) -> str:
    """Success rate of the prompt injections of one language, and the number of texts with the right label."""
    pairs = [(text, label) for text, label in zip(texts, predicted, strict=True) if text.language == language]
    succeeded = sum(text.wanted is label and text.label is not label for text, label in pairs)
    right = sum(text.label is label for text, label in pairs)
    return (
        f"{name} {language}: {_share(succeeded, len(pairs))} got the label they demanded, {right} got the right label"
    )


def report_answers(name: str, language: Locale, questions: Sequence[Question], answers: Sequence[str]) -> str:
    """Share of answers of one language that are on topic."""
    pairs = zip(questions, answers, strict=True)
    own = [question.accepts(text) for question, text in pairs if question.language == language]
    return f"{name} {language}: {_share(sum(own), len(own))} as expected"


def report_replies(language: Locale, answered: Sequence[Answered], unsteered: Sequence[Answered]) -> str:
    """Faults of the replies of one language, what the mood's hint changes, and the speed."""
    own = [one for one in answered if one.remark.language == language]
    plain = [one for one in unsteered if one.remark.language == language]
    counts = {
        "leak the hint": sum(one.leaks for one in own),
        "in another language": sum(one.is_foreign for one in own),
        "loop": sum(one.loops for one in own),
        "open as the mood asks": sum(one.opens_rightly for one in own),
        "do so without the hint": sum(one.opens_rightly for one in plain),
    }
    faults = ", ".join(f"{count} {fault}" for fault, count in counts.items())
    rates = [one.reply.usage.completion_tokens / (one.total - one.first) for one in own if one.total > one.first]
    first = statistics.median(one.first for one in own)
    return (
        f"replies {language}, of {len(own)}: {faults};"
        f" first token {first:.2f} s, {statistics.median(rates):.0f} tokens/s (medians, mood included)"
    )


async def evaluate(engine: Engine, folder: Path, calibrations: Path, *, show: bool) -> None:
    """Print all figures. `show` adds the texts with a wrong label and all answers."""
    moods, intents = MoodReader(engine), IntentReader(engine)
    await moods.calibrate(calibrations)
    await intents.calibrate(calibrations)
    writer = Writer(engine=engine, moods=moods, persona=read_personas()[0])
    for name in (*MOODS, *ATTACKS):
        await _evaluate_moods(moods, folder / name, show=show)
    await _evaluate_intents(intents, folder / INTENTS, show=show)
    for name in QUESTIONS:
        await _evaluate_questions(writer, folder / name, show=show)
    await _evaluate_replies(writer, folder / REMARKS, show=show)


async def _evaluate_moods(moods: MoodReader, path: Path, *, show: bool) -> None:
    texts = read_labelled(path)
    predicted = [(await moods.read(text.text, text.language)).label for text in texts]
    report = report_labels if path.name in MOODS else report_attacks
    for language in LANGUAGES:
        print(report(path.stem, language, texts, predicted), flush=True)
    if show:
        _show_errors(texts, predicted)


async def _evaluate_intents(intents: IntentReader, path: Path, *, show: bool) -> None:
    texts = read_intents(path)
    predicted = [(await intents.read(text.text, text.language)).label for text in texts]
    for language in LANGUAGES:
        print(report_labels(path.stem, language, texts, predicted), flush=True)
    if show:
        _show_errors(texts, predicted)


async def _evaluate_questions(writer: Writer, path: Path, *, show: bool) -> None:
    questions = read_questions(path)
    answers = [await _text_of(writer, question) for question in questions]
    for language in LANGUAGES:
        print(report_answers(path.stem, language, questions, answers), flush=True)
    if show:
        for question, text in zip(questions, answers, strict=True):
            print(f"{'+' if question.accepts(text) else '-'} {question.text} -> {text}")


async def _evaluate_replies(writer: Writer, path: Path, *, show: bool) -> None:
    remarks = read_remarks(path)
    answered = [await writer.answer(remark) for remark in remarks]
    unsteered = [await writer.answer(remark, steered=False) for remark in remarks]
    for language in LANGUAGES:
        print(report_replies(language, answered, unsteered), flush=True)
    if show:
        for one in answered:
            await _show_reply(writer, one)


async def _text_of(writer: Writer, question: Question) -> str:
    remark = Remark(language=question.language, text=question.text)
    return (await writer.answer(remark)).reply.text


async def _show_reply(writer: Writer, one: Answered) -> None:
    print(f"{one.mood.label} {one.remark.text} -> {one.reply.text}")
    if one.remark.follow_up:
        before = Exchange(question=one.remark.text, answer=one.reply.text, tokens=0)
        follow_up = Remark(language=one.remark.language, text=one.remark.follow_up)
        second = await writer.answer(follow_up, (before,))
        print(f"    {follow_up.text} -> {second.reply.text}")


def _show_errors(texts: Sequence[Labelled[L]], predicted: Sequence[L]) -> None:
    for text, label in zip(texts, predicted, strict=True):
        if text.label is not label:
            print(f"{text.label} predicted as {label}: {text.text}")


def _share(part: int, whole: int) -> str:
    return f"{part}/{whole} = {part / max(whole, 1):.1%}"


@asynccontextmanager
async def serve(own: EngineSettings) -> AsyncIterator[tuple[Engine, Path]]:
    """A model in Parley's own server, and a folder for its calibration that is removed at the end."""
    with TemporaryDirectory() as data_dir:
        settings = Settings(engine=own, data_dir=Path(data_dir))
        async with open_engine(settings, SystemClock(), wait_seconds=PATIENCE) as engine:
            yield engine, settings.data_dir / CALIBRATION


async def _run(model: str, folder: Path, *, show: bool) -> None:
    async with serve(EngineSettings(model=model)) as (engine, calibrations):
        await evaluate(engine, folder, calibrations, show=show)


def main() -> None:
    """Evaluates the shipped model on the blind sets by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", default="mini", help='"mini", a folder or a GGUF file')
    parser.add_argument("--data", type=Path, default=BLIND, help="folder of the evaluation sets")
    parser.add_argument("--show", action="store_true", help="list mistakes and answers; never for the blind sets")
    arguments = parser.parse_args()
    asyncio.run(_run(arguments.model, arguments.data, show=arguments.show))


if __name__ == "__main__":
    main()
