"""Weights: read a checkpoint, quantise it and pack it for the kernels."""
