"""The embedded model for the evaluation: transformers in float32, one prompt at a time."""

from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import Qwen2ForCausalLM

from core.prompt import Prompt
from training.packing import Encoder, Ids

TOP_LOGPROBS = 20
"""First tokens with their log-probabilities: as many as the model server returns."""
MAX_TOKENS = 96


class Mini:
    """The model with its tokenizer: log-probabilities of first tokens, and greedy answers."""

    def __init__(self, folder: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._encoder = Encoder(self._tokenizer)
        self._model = Qwen2ForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

    async def first_token(self, prompt: Prompt, *, user: str = "") -> dict[bytes, float]:  # noqa: ARG002  no cache
        """Most likely first tokens of the answer with their log-probabilities, as `Engine.first_token` returns them."""
        top = self._logits(prompt).log_softmax(-1).topk(TOP_LOGPROBS)
        return {
            self._tokenizer.decode([token]).encode(): logprob
            for token, logprob in zip(top.indices.tolist(), top.values.tolist(), strict=True)
        }

    @torch.inference_mode()
    def answer(self, prompt: Prompt) -> str:
        """The greedy answer, at most `MAX_TOKENS` long."""
        ids = torch.tensor([self._encoder.prompt(prompt)])
        output = self._model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=MAX_TOKENS)
        answer: Ids = output[0, ids.shape[1] :].tolist()
        return self._tokenizer.decode(answer, skip_special_tokens=True)

    @torch.inference_mode()
    def _logits(self, prompt: Prompt) -> torch.Tensor:
        """float32 [vocabulary]: logits of the first token of the answer."""
        logits: torch.Tensor = self._model(torch.tensor([self._encoder.prompt(prompt)])).logits
        return logits[0, -1]
