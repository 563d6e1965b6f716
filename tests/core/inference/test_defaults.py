"""Published generation defaults: which model gets which."""

import pytest

from core.inference.defaults import GREEDY, PUBLISHED, published_defaults


@pytest.mark.parametrize(
    ("config", "temperature", "penalty"),
    [
        ({"model_type": "qwen2", "hidden_size": 896}, 0.7, 1.1),
        ({"model_type": "qwen2", "hidden_size": 1536}, 0.7, 1.1),
        ({"model_type": "qwen2", "hidden_size": 2048}, 0.7, 1.05),
        ({"model_type": "qwen3_5_text", "hidden_size": 1024}, 1.0, 1.0),
        ({"model_type": "qwen3_5_text", "hidden_size": 2560}, 0.7, 1.0),
        ({"model_type": "llama", "vocab_size": 49_152}, 0.2, 1.0),
        ({"model_type": "llama", "vocab_size": 128_256}, 0.6, 1.0),
    ],
)
def test_models_of_one_type_are_told_apart(config: dict[str, object], temperature: float, penalty: float) -> None:
    """Sizes of a family may have other defaults, and so have families that share an architecture."""
    found = published_defaults(config)
    assert (found["temperature"], found["repetition_penalty"]) == (temperature, penalty)


@pytest.mark.parametrize("config", [{}, {"model_type": "mamba"}, {"model_type": "llama", "vocab_size": 32_000}])
def test_an_unknown_model_is_greedy(config: dict[str, object]) -> None:
    """A model whose authors publish no defaults, as far as known, is greedy."""
    assert published_defaults(config) is GREEDY


def test_every_row_is_reached() -> None:
    """No row is hidden by one before it."""
    for row in PUBLISHED:
        sizes = [size for size in (1024, 2560, 49_152, 128_256) if size in row.values]
        assert row.defaults in [published_defaults({"model_type": row.model_type, row.field: size}) for size in sizes]
