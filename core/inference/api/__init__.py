"""The model server's HTTP API: OpenAI chat completions."""
