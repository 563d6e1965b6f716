"""Folders in the format of transformers."""

from core.inference.checkpoint.folder import language_config


def test_the_language_model_in_a_model_that_sees() -> None:
    """A nested `text_config` is the configuration; what only the outer one has is kept."""
    nested = {"model_type": "outer", "tie_word_embeddings": True, "text_config": {"model_type": "inner"}, "vision": {}}
    plain = {"model_type": "inner"}
    assert language_config(nested) == {"model_type": "inner", "tie_word_embeddings": True}
    assert language_config(plain) == plain
