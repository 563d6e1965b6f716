"""Measures the search of the knowledge, and fits its weights: `python -m training.knowledge [--fit]`.

Measured on the sample shop and on two hotels, whose questions nothing was fitted to; those of the inn have hardly a
word in common with what it knows. Fitted on a gym and a telephone company, where each wording in turn is a question
to the rest, and has no answer once its entry is left out; and on a clinic and an invoicing program with questions of
their own.
"""

import argparse
import csv
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from core.knowledge import judgement
from core.knowledge.folder import Source
from core.knowledge.index import FEATURES, Index, build_index
from core.knowledge.judgement import evidence
from core.knowledge.lexicon import Floats, build_lexicon
from core.knowledge.meaning import Embedder, installed_embedder
from core.knowledge.passages import Passage
from core.knowledge.readers import read_passages
from core.knowledge.searching import leads, search
from core.knowledge.terms import folded, grams
from core.language import HAN
from core.messages import Locale
from core.stages.knowledge import SUGGESTIONS
from training.sample import LANGUAGES

HERE = Path(__file__).parent
MEASURED = {
    "shop": (HERE.parent / "config/faq/lantern-and-leaf.toml", HERE / "evaluation/knowledge/lantern-and-leaf.tsv"),
    "hotel": (HERE / "evaluation/knowledge/hotel.toml", HERE / "evaluation/knowledge/hotel.tsv"),
    "inn": (HERE / "evaluation/knowledge/inn.toml", HERE / "evaluation/knowledge/inn.tsv"),
}
FITTED = (HERE / "faq/gym.toml", HERE / "faq/telephone.toml")
ASKED = (HERE / "faq/clinic.toml", HERE / "faq/software.toml")
"""Corpora of the fit with questions beside them: "clinic.tsv"."""
ELSEWHERE = HERE / "faq/elsewhere.tsv"
"""Questions that have no answer in the corpora of the fit."""
WEIGHTS = HERE.parent / "core/knowledge/weights.toml"
FOLDS = 6
FALSE_ANSWERS = 0.03
"""Share of unanswerable questions of the fit that may be answered word for word."""
FALSE_GROUNDS = 0.15
"""The same for those that get a passage to rest on."""
FALSE_SUGGESTIONS = 0.6
"""The same for those for which other questions are suggested."""
RIDGE = 0.5
LEXICAL = len(FEATURES) - 4
"""Features that need no embedder; they come first."""
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question, and the entry that answers it; None if the corpus has no answer."""

    language: Locale
    text: str
    entry: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a method made of a question: its best entry, how sure it is, and the seconds it took.

    `suggested` are the entries whose questions a refusal would suggest.
    """

    entry: str
    score: float
    seconds: float
    suggested: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A question's features of all passages that it could find, and the row of the right one, if there is one."""

    features: Floats
    right: int | None


class CachedEmbedder:
    """An embedder that keeps what it has embedded."""

    def __init__(self, embedder: Embedder) -> None:
        self.name = embedder.name
        self._embedder = embedder
        self._kept: dict[tuple[str, str], Floats] = {}

    def questions(self, texts: Sequence[str]) -> Floats:
        return self._rows("question", texts, self._embedder.questions)

    def texts(self, texts: Sequence[str]) -> Floats:
        return self._rows("text", texts, self._embedder.texts)

    def _rows(self, kind: str, texts: Sequence[str], embed: Callable[[Sequence[str]], Floats]) -> Floats:
        missing = [text for text in dict.fromkeys(texts) if (kind, text) not in self._kept]
        if missing:
            self._kept |= {(kind, text): row for text, row in zip(missing, embed(missing), strict=True)}
        return np.stack([self._kept[kind, text] for text in texts])


def read_corpus(path: Path) -> tuple[Passage, ...]:
    return read_passages([Source(name=path.name, content=path.read_bytes())])


def read_asked(path: Path, corpus: str) -> list[Asked]:
    """Questions of a TSV file. The column `entry` counts the corpus' entries from 1, and may be empty or missing."""
    with path.open(encoding="utf-8", newline="") as file:
        return [
            Asked(
                language="zh" if row["language"] == "zh" else "en",
                text=row["text"],
                entry=f"{corpus}#{row['entry']}" if row.get("entry") else None,
            )
            for row in csv.DictReader(file, delimiter="\t")
        ]


def measure(embedder: Embedder | None) -> None:
    """Print a row for each corpus, language and method. BM25 and e5 alone have no refusal; what they could have at
    best is shown: the threshold that keeps false answers to 5 % on these very questions. "offered" is how often the
    right entry is among the questions that a refusal would suggest, "in vain" how often it suggests some for a question
    without an answer.
    """
    print(
        f"{'corpus':7}{'':4}{'method':20}{'hit@1':>7}{'answered':>10}{'false':>8}{'wrong':>7}"
        f"{'offered':>9}{'in vain':>9}{'p50 ms':>9}"
    )
    for name, (corpus, questions) in MEASURED.items():
        passages, asked = read_corpus(corpus), read_asked(questions, corpus.name)
        for method, (find, threshold) in _methods(passages, embedder).items():
            for language in LANGUAGES:
                own = [one for one in asked if one.language == language]
                print(f"{name:7}{language:4}{method:20}{_row(own, [find(one) for one in own], threshold)}", flush=True)


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
    p50 = statistics.median(got.seconds for got in found) * 1000
    return f"{hits:7.2f}{answered:10.0%}{false:8.0%}{wrong:7.0%}{offered:9.0%}{in_vain:9.0%}{p50:9.2f}"


def _methods(
    passages: Sequence[Passage], embedder: Embedder | None
) -> Mapping[str, tuple[Callable[[Asked], Found], float | None]]:
    plain = build_index(passages, None, version="")
    methods: dict[str, tuple[Callable[[Asked], Found], float | None]] = {
        "BM25": (_plain_bm25(passages), None),
        "ours": (_ours(plain, None), judgement.judge_for(is_answer=True, by_meaning=False).thresholds.answer),
    }
    if embedder:
        index = build_index(passages, embedder, version="")
        bar = judgement.judge_for(is_answer=True, by_meaning=True).thresholds.answer
        methods |= {"e5": (_plain_e5(index, embedder), None), "ours with semantic": (_ours(index, embedder), bar)}
    return methods


def _plain_bm25(passages: Sequence[Passage]) -> Callable[[Asked], Found]:
    """BM25 over questions and answer of an entry as one text, of words and pairs of Chinese characters."""
    lexicon = build_lexicon([grams(folded(" ".join((*passage.wordings, passage.text)))) for passage in passages])

    def find(asked: Asked) -> Found:
        begun = time.perf_counter()
        scores = lexicon.overlap(grams(folded(asked.text))).bm25
        best = int(scores.argmax())
        return Found(entry=passages[best].entry, score=float(scores[best]), seconds=time.perf_counter() - begun)

    return find


def _plain_e5(index: Index, embedder: Embedder) -> Callable[[Asked], Found]:
    """The nearest wording or answer by cosine."""

    def find(asked: Asked) -> Found:
        begun = time.perf_counter()
        vector = embedder.questions([asked.text])[0]
        size = len(index.passages)
        cosines = np.maximum(
            index.wordings.best(index.wordings.vectors @ vector, size),
            index.bodies.best(index.bodies.vectors @ vector, size),
        )
        best = int(cosines.argmax())
        return Found(entry=index.passages[best].entry, score=float(cosines[best]), seconds=time.perf_counter() - begun)

    return find


def _ours(index: Index, embedder: Embedder | None) -> Callable[[Asked], Found]:
    def find(asked: Asked) -> Found:
        begun = time.perf_counter()
        findings = search(index, embedder, asked.text)
        seconds = time.perf_counter() - begun
        best, *_ = findings.matches
        entries = {match.passage.heading: match.passage.entry for match in findings.matches}
        suggested = tuple(entries[question] for question in findings.suggestions[:SUGGESTIONS])
        return Found(entry=best.passage.entry, score=best.score, seconds=seconds, suggested=suggested)

    return find


def fit(embedder: Embedder) -> None:
    """Write the weights of all four judges."""
    cached = CachedEmbedder(embedder)
    text = "# Weights of the search: `python -m training.knowledge --fit` wrote them. core/knowledge/judgement.py says"
    text += " what they mean.\n"
    for kind in ("answers", "documents"):
        examples = list(_examples(cached, documents=kind == "documents"))
        for suffix in ("", "_by_meaning"):
            text += _fitted(kind + suffix, [_cut(one, by_meaning=bool(suffix)) for one in examples])
    WEIGHTS.write_text(text, "utf-8")


def _cut(example: Example, *, by_meaning: bool) -> Example:
    if by_meaning:
        return example
    features = example.features.copy()
    features[:, LEXICAL:] = 0
    return replace(example, features=features)


def _fitted(name: str, examples: Sequence[Example]) -> str:
    rank = _fit_rank(examples)
    rows, right = [], []
    for one in examples:
        ranks = one.features @ rank
        order = np.argsort(-ranks, kind="stable")
        rows.append(evidence(one.features[order[:1]], leads(ranks[order])[:1])[0])
        right.append(one.right == order[0])
    trust = _fit_trust(np.array(rows), np.array(right, float))
    scores = 1 / (1 + np.exp(-(np.array(rows) @ trust)))
    unknown = np.sort([score for score, one in zip(scores, examples, strict=True) if one.right is None])[::-1]
    shares = (FALSE_ANSWERS, FALSE_GROUNDS, FALSE_SUGGESTIONS)
    answer, ground, suggest = (float(unknown[int(len(unknown) * share)]) for share in shares)
    known = [i for i, one in enumerate(examples) if one.right is not None]
    hits = sum(right[i] for i in known) / len(known)
    answered = sum(right[i] and scores[i] > answer for i in known) / len(known)
    print(f"{name:24}{len(known):5} + {len(unknown):4} questions: hit@1 {hits:.2f}, answered {answered:.0%}")
    return (
        f"\n[{name}]\nrank = [{', '.join(f'{weight:.3f}' for weight in rank)}]\n"
        f"trust = [{', '.join(f'{weight:.3f}' for weight in trust)}]\nanswer = {answer:.3f}\nground = {ground:.3f}\n"
        f"suggest = {suggest:.3f}\n"
    )


def _fit_rank(examples: Sequence[Example]) -> Numbers:
    """Weights by which the right passage outranks the others: softmax regression by gradient descent."""
    weights = np.ones(len(FEATURES))
    known = [one for one in examples if one.right is not None]
    for step in range(400):
        gradient = RIDGE / len(known) * weights
        for one in known:
            ranks = one.features @ weights
            shares = np.exp(ranks - ranks.max())
            gradient += (shares / shares.sum() @ one.features - one.features[one.right]) / len(known)
        weights = np.maximum(weights - 4.0 / (1 + step / 100) * gradient, 0)
    return weights


def _fit_trust(rows: Numbers, right: Numbers) -> Numbers:
    """Logistic regression by gradient descent. Only the bias may be negative: no likeness speaks against a passage."""
    weights = np.zeros(rows.shape[1])
    scale = np.abs(rows).max(axis=0).clip(1e-6)
    scaled = rows / scale
    for _ in range(4000):
        predicted = 1 / (1 + np.exp(-(scaled @ weights)))
        gradient = scaled.T @ (predicted - right) / len(rows) + RIDGE / len(rows) * np.append(weights[:-1], 0)
        weights -= 2.0 * gradient
        weights[:-1] = np.maximum(weights[:-1], 0)
    trust: Numbers = weights / scale
    return trust


def _examples(embedder: Embedder, *, documents: bool) -> Iterator[Example]:
    yield from _wordings(embedder, documents=documents)
    for path in ASKED:
        passages = read_corpus(path)
        ids = {(passage.entry, passage.language): passage.id for passage in passages}
        whole = _Corpus(passages, embedder, documents=documents)
        for asked in read_asked(path.with_suffix(".tsv"), path.name):
            yield whole.example(asked.text, ids[asked.entry, asked.language] if asked.entry else None)
        yield from (whole.example(one.text, None) for one in read_asked(ELSEWHERE, ""))


def _wordings(embedder: Embedder, *, documents: bool) -> Iterator[Example]:
    corpora = [read_corpus(path) for path in FITTED]
    for number, corpus in enumerate(corpora):
        elsewhere = [one.text for one in read_asked(ELSEWHERE, "")]
        elsewhere += [passage.wordings[0] for passage in corpora[number - 1][::3]]
        whole = _Corpus(corpus, embedder, documents=documents)
        yield from (whole.example(text, None) for text in elsewhere)
        for fold in range(FOLDS):
            yield from _left_out_entries(corpus, embedder, fold, documents=documents)
        yield from (whole.example(text, p.id) for p in corpus for text in p.wordings[:: None if documents else 4])
        if not documents:
            for place in range(max(len(passage.wordings) for passage in corpus)):
                yield from _left_out_wordings(corpus, embedder, place)


def _left_out_entries(
    corpus: Sequence[Passage], embedder: Embedder, fold: int, *, documents: bool
) -> Iterator[Example]:
    entries = list(dict.fromkeys(passage.entry for passage in corpus))[fold::FOLDS]
    rest = _Corpus([p for p in corpus if p.entry not in entries], embedder, documents=documents)
    yield from (rest.example(text, None) for p in corpus if p.entry in entries for text in p.wordings)


def _left_out_wordings(corpus: Sequence[Passage], embedder: Embedder, place: int) -> Iterator[Example]:
    rest = _Corpus([_without(passage, place) for passage in corpus], embedder, documents=False)
    for passage in corpus:
        if place < len(passage.wordings):
            yield rest.example(passage.wordings[place], passage.id)


def _without(passage: Passage, place: int) -> Passage:
    return replace(passage, wordings=passage.wordings[:place] + passage.wordings[place + 1 :])


class _Corpus:
    """An index of passages to take examples from; of their answers alone if they stand for documents."""

    def __init__(self, passages: Sequence[Passage], embedder: Embedder, *, documents: bool) -> None:
        kept = [replace(passage, wordings=()) for passage in passages] if documents else passages
        self._index = build_index(kept, embedder, version="")
        self._embedder = embedder

    def example(self, text: str, right: str | None) -> Example:
        language: Locale = "zh" if HAN.search(text) else "en"
        rows = [i for i, passage in enumerate(self._index.passages) if passage.language == language]
        ids = {self._index.passages[i].id: row for row, i in enumerate(rows)}
        features = self._index.features(text, self._embedder.questions([text])[0])[rows]
        return Example(features=features, right=None if right is None else ids[right])


def main() -> None:
    """Measures by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fit", action="store_true", help="fit the weights first; needs the extra semantic")
    arguments = parser.parse_args()
    embedder = installed_embedder()
    if arguments.fit:
        if embedder is None:
            parser.error('--fit needs the extra "semantic"')
        fit(embedder)
        judgement.judges.cache_clear()
    measure(embedder)


if __name__ == "__main__":
    main()
