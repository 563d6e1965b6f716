"""The decoder in C, compiled on the machine that runs it, for its processor."""
