"""The usual analysers of sentiment, to compare a model with: optional, `pip install '.[rated]'` installs them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from core.messages import Label, Locale

try:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer
except ModuleNotFoundError:
    SentimentIntensityAnalyzer = None

try:
    from snownlp import SnowNLP
except ModuleNotFoundError:
    SnowNLP = None

COMPOUND = 0.05
"""VADER's own threshold for its compound score, which is from -1 to 1."""
PROBABILITY = 0.5
"""snownlp gives the probability of positive; a text with more than this is positive, any other negative."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Analyser:
    """An analyser's name, and its label of a text."""

    name: str
    label: Callable[[str], Label]


def installed() -> dict[Locale, Analyser]:
    """The analysers that are installed, by the language that they read."""
    found: dict[Locale, Analyser] = {}
    if SentimentIntensityAnalyzer is not None:
        found["en"] = vader(SentimentIntensityAnalyzer().polarity_scores)
    if SnowNLP is not None:
        found["zh"] = snownlp(lambda text: SnowNLP(text).sentiments)
    return found


def vader(scores: Callable[[str], Mapping[str, float]]) -> Analyser:
    return Analyser(name="VADER", label=lambda text: label_of(scores(text)["compound"], COMPOUND))


def snownlp(positive: Callable[[str], float]) -> Analyser:
    return Analyser(
        name="snownlp",
        label=lambda text: Label.POSITIVE if positive(text) > PROBABILITY else Label.NEGATIVE,
    )


def label_of(score: float, threshold: float) -> Label:
    """The label of a score around 0: neutral if it is nearer to 0 than the threshold."""
    if abs(score) < threshold:
        return Label.NEUTRAL
    return Label.POSITIVE if score > 0 else Label.NEGATIVE
