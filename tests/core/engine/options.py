"""The engine's options as tests use them; in the product they come from the settings."""

from pathlib import Path
from typing import Any

from core.engine.child import ModelChild
from core.engine.openai import OpenAIServer


def model_child(data_dir: Path, **changes: Any) -> ModelChild:  # noqa: ANN401  any field of ModelChild
    options: dict[str, Any] = {
        "model": "mini",
        "threads": 0,
        "max_batch": 8,
        "dtype": "auto",
        "cache_bytes": 512 << 20,
    }
    return ModelChild(data_dir=data_dir, **options | changes)


def openai_server(**changes: Any) -> OpenAIServer:  # noqa: ANN401  any field of OpenAIServer
    options: dict[str, Any] = {"url": "http://localhost/v1", "model": "", "api_key": ""}
    return OpenAIServer(**options | changes)
