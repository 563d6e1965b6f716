"""Where the chat template and the special tokens of a folder are read."""

import json
from pathlib import Path

from core.inference.tokens.files import read_template


def test_where_a_template_is_read(tmp_path: Path) -> None:
    """`chat_template.jinja` precedes `tokenizer_config.json`, which may hold several; special tokens may be objects."""
    assert read_template(tmp_path) == (None, {})
    several = [{"name": "tool_use", "template": "tools"}, {"name": "default", "template": "chat"}]
    settings = {"chat_template": several, "bos_token": {"content": "<s>"}, "eos_token": "</s>", "pad_token": None}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    special = {"bos_token": "<s>", "eos_token": "</s>"}
    assert read_template(tmp_path) == ("chat", special)
    (tmp_path / "chat_template.jinja").write_text("own file")
    assert read_template(tmp_path) == ("own file", special)
