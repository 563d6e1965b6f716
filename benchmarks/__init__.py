"""Benchmarks of Parley against its alternatives, of quantisation, and of the gateway under load."""
