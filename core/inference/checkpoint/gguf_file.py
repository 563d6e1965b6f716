"""A GGUF file, the format of llama.cpp: weights, configuration, tokenizer and chat template in one."""

from math import prod
from pathlib import Path

from core.inference.checkpoint.checkpoint import Checkpoint
from core.inference.checkpoint.gguf_config import architecture, read_config, read_sizes
from core.inference.checkpoint.gguf_metadata import Metadata
from core.inference.checkpoint.gguf_tensors import GgufSource, open_tensors, unknown_tensors
from core.inference.checkpoint.gguf_tokenizer import special_tokens, tokenizer_spec
from core.models.gguf import read_header

ROPE_FACTORS = "rope_freqs.weight"
WIDE = {"F32", "F16"}
"""Types with more precision than bfloat16."""


def open_gguf(path: Path) -> Checkpoint:
    """Read a file. Its weights are read on demand. Raises ModelDamaged if it is damaged or of an unknown kind."""
    header = read_header(path)
    metadata = Metadata(path=path, values=header.metadata)
    name, known = architecture(metadata)
    sizes = read_sizes(metadata, header.tensors, name)
    if unknown := unknown_tensors(header.tensors, name, sizes.layers):
        raise metadata.damaged(f"its tensor {unknown[0][:100]!r} is of no known use in {name}")
    factors = header.tensors.get(ROPE_FACTORS)
    divisors = GgufSource(path, factors)[:] if factors else None
    heads = {"q": sizes.heads, "k": sizes.kv_heads} if known.interleaved else {}
    return Checkpoint(
        path=path,
        files=(path,),
        config=read_config(metadata, header.tensors, name, sizes, divisors),
        generation=None,
        tokenizer=tokenizer_spec(metadata),
        special_tokens=special_tokens(metadata),
        chat_template=metadata.text("tokenizer.chat_template"),
        read=open_tensors(path, header.tensors, name=name, layers=sizes.layers, heads=heads),
        translated=len(header.tensors.keys() - {ROPE_FACTORS}),
        weights=sum(prod(tensor.shape) for tensor in header.tensors.values()),
        fits_bf16=any(tensor.type.name not in WIDE for tensor in header.tensors.values()),
    )
