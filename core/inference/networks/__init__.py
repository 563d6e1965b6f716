"""Networks: the lean decoder, and transformers for every other architecture."""
