"""The embedded model behind the server."""

from pathlib import Path

import pytest

from core.errors import ModelMissing
from core.inference.loader import load_model
from core.language import language_of
from core.models import EMBEDDED
from tests.core.inference.options import load_options
from tests.core.inference.serving import serving


@pytest.mark.parametrize(("question", "language"), [("Hello, how are you?", "en"), ("你好，你是谁？", "zh")])
def test_the_embedded_model_answers_in_the_language_of_the_question(
    tmp_path: Path, question: str, language: str
) -> None:
    """The model loads by its name and ends its replies itself, in English and in Chinese."""
    try:
        mini = load_model(EMBEDDED, tmp_path, load_options())
    except ModelMissing:
        pytest.skip("the embedded model is not part of this checkout")
    with serving(mini, tmp_path / "s") as server:
        answer = server.ask(question, model=EMBEDDED, max_tokens=128).json()["choices"][0]
    assert answer["finish_reason"] == "stop"
    assert language_of(answer["message"]["content"]) == language
