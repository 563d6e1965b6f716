"""The files of the embedded model as they ship."""

import hashlib
import json

import pytest
from tokenizers import Tokenizer

from core.messages import Locale
from core.mood import mood_prompts
from training.seal import MINI
from training.tokenizer import control_ids

FILES = {
    "README.md",
    "SHA256SUMS",
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
}


def test_files_are_complete() -> None:
    """The folder contains exactly the files of the model."""
    assert {path.name for path in MINI.iterdir()} == FILES


def test_weights_fit() -> None:
    """The weights file has at most 10,000,000 bytes."""
    assert (MINI / "model.safetensors").stat().st_size <= 10_000_000


def test_checksums_match() -> None:
    """Every file matches its checksum in SHA256SUMS."""
    lines = (MINI / "SHA256SUMS").read_text("utf-8").splitlines()
    sums = {name: digest for digest, name in (line.split("  ") for line in lines)}
    assert set(sums) == FILES - {"SHA256SUMS"}
    assert {name: hashlib.sha256((MINI / name).read_bytes()).hexdigest() for name in sums} == sums


@pytest.mark.parametrize("language", ["en", "zh"])
def test_labels_differ_in_their_first_token(language: Locale) -> None:
    """The word that the model learned for a label is one token at the start of the answer, and differs."""
    tokenizer = Tokenizer.from_file(str(MINI / "tokenizer.json"))
    head = tokenizer.encode("assistant\n", add_special_tokens=False).ids
    firsts = set()
    for word, *_ in mood_prompts()[language].words.values():
        ids = tokenizer.encode("assistant\n" + word, add_special_tokens=False).ids
        assert ids[: len(head)] == head
        assert len(ids) == len(head) + 1
        firsts.add(ids[len(head)])
    assert len(firsts) == 3


def test_generation_is_greedy_and_ends() -> None:
    """Generation is greedy by default and ends at either end token."""
    generation = json.loads((MINI / "generation_config.json").read_text("utf-8"))
    tokenizer = Tokenizer.from_file(str(MINI / "tokenizer.json"))
    end_of_text, _, end = control_ids(tokenizer)
    assert not generation.get("do_sample", False)
    assert generation["eos_token_id"] == [end, end_of_text]
