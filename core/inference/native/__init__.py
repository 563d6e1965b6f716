"""The decoder in C: compiled on the machine it runs on, for the processor it finds there."""
