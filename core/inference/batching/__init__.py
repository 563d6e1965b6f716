"""Continuous batching: scheduling, prefix cache, sampling, and the loop that runs them."""
