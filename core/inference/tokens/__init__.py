"""Tokenisation: text to token ids and back, and chat prompts as ids."""
