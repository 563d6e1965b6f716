"""The HTTP side of the model server: OpenAI chat completions."""
