from itertools import chain
from pathlib import Path

from benchmarks.texts import PROMPTS, PROSE, WINDOW, held_out_texts, prose, windows
from core.inference.loader import load_model
from core.models import EMBEDDED
from tests.core.inference.options import load_options


def test_prompts_are_distinct() -> None:
    """The prompts are `PROMPTS` different sentences."""
    assert len(set(held_out_texts(PROMPTS))) == PROMPTS


def test_a_long_text_is_read_in_passages() -> None:
    """Each id is in one passage, and none is longer than the window."""
    ids = list(range(2 * WINDOW + 1))
    assert list(map(len, windows(ids))) == [WINDOW, WINDOW, 1]
    assert list(chain(*windows(ids))) == ids


def test_the_prose_is_in_both_languages(tmp_path: Path) -> None:
    """The prose has thousands of tokens, and what its passages say is what the files say."""
    model = load_model(EMBEDDED, tmp_path, load_options())
    passages = prose(model)
    assert sum(map(len, passages)) > 2000
    assert {path.stem for path in PROSE.iterdir()} == {"en", "zh"}
    said = b"".join(model.vocabulary.bytes_of(token) for ids in passages for token in ids).decode()
    assert said == "".join(path.read_text("utf-8") for path in sorted(PROSE.iterdir()))
