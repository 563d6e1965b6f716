"""The embedded model behind the server."""

from pathlib import Path

import pytest

from core.engine.openai import OpenAIEngine
from core.errors import ModelMissing
from core.inference.loader import load_model
from core.language import language_of
from core.models import EMBEDDED
from core.prompt import ChatMessage
from tests.core.inference.options import load_options
from tests.core.inference.serving import serving
from tests.options import server_with


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


async def test_the_embedded_model_forgets_one_person(tmp_path: Path) -> None:
    """After a person was forgotten, their prompt is computed anew, and another person's is still in the cache."""
    try:
        mini = load_model(EMBEDDED, tmp_path, load_options())
    except ModelMissing:
        pytest.skip("the embedded model is not part of this checkout")
    prompt = (ChatMessage(role="user", content="Hello, how are you? I had a long walk by the river today. " * 2),)
    with serving(mini, tmp_path / "s") as server:
        engine = OpenAIEngine(server_with(socket_path=server.path, model=""))

        async def cached(user: str) -> int:
            async with engine.stream(prompt, max_tokens=4, user=user) as pieces:
                return [piece.usage.cached_tokens async for piece in pieces][-1]

        opening = [await cached("ann"), await cached("bob")][1]
        whole = await cached("bob")
        assert await cached("ann") == whole > opening
        assert await engine.forget(["ann"])
        assert await cached("ann") == opening
        assert await cached("bob") == whole
