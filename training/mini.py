"""The embedded model as the evaluation sees it: with transformers, in float32, one prompt at a time."""

from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import Qwen2ForCausalLM

from core.prompt import Prompt
from training.rows import Encoder, Ids

TOP = 20
"""As many first tokens as the model server tells."""
MAX_TOKENS = 96


class Mini:
    """First tokens, and greedy answers."""

    def __init__(self, folder: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._encoder = Encoder(self._tokenizer)
        self._model = Qwen2ForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

    @torch.inference_mode()
    async def first_token(self, prompt: Prompt) -> dict[bytes, float]:
        """The likeliest first tokens of the answer and their log-probabilities, as the product's engine tells them."""
        logits = self._model(torch.tensor([self._encoder.prompt(prompt)])).logits[0, -1]
        top = logits.log_softmax(-1).topk(TOP)
        return {
            self._tokenizer.decode([token]).encode(): logprob
            for token, logprob in zip(top.indices.tolist(), top.values.tolist(), strict=True)
        }

    @torch.inference_mode()
    def answer(self, prompt: Prompt) -> str:
        """The greedy answer."""
        ids = torch.tensor([self._encoder.prompt(prompt)])
        output = self._model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=MAX_TOKENS)
        written: Ids = output[0, ids.shape[1] :].tolist()
        return self._tokenizer.decode(written, skip_special_tokens=True)
