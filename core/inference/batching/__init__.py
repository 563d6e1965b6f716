"""Continuous batching: which sequences run in a step, their KV cache blocks, and how a step becomes text."""
