"""The naive baseline: transformers in fp32 in one process, one `generate` call for the mood and one for the reply.

It reuses nothing between them. `python -m benchmarks.naive MODEL THREADS` answers each line on standard input, a JSON
object, with another.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Protocol

import torch
from pydantic import BaseModel
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, BatchEncoding, PreTrainedTokenizerBase

from benchmarks.questions import LOCALE
from config.personas import load_persona
from core.language import language_of
from core.messages import Label, Mood
from core.mood import mood_prompts
from core.prompt import Persona, Prompt, chat_prompt


class Question(BaseModel, frozen=True, extra="forbid"):
    """A message to answer with exactly `tokens` tokens and with the prompt's hint for `mood`.

    Both are Parley's, so that prompts and lengths are equal. The naive bot still spends the time to read the mood.
    """

    text: str
    mood: Label
    tokens: int


@dataclass(slots=True, kw_only=True)
class Stopwatch:
    """A streamer for `generate` that records when tokens arrive. The prompt is streamed first, as one item."""

    begun: float
    seen: list[float] = field(default_factory=list)

    @property
    def first_token(self) -> float:
        return self.seen[1] - self.begun

    def put(self, _: Tensor) -> None:
        self.seen.append(time.perf_counter())

    def end(self) -> None:
        pass


class GenerativeModel(Protocol):
    """The one method of a causal language model of transformers that the bot calls."""

    @property
    def generate(self) -> Callable[..., object]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class NaiveBot:
    """A model, its tokenizer and a persona."""

    model: GenerativeModel
    tokenizer: PreTrainedTokenizerBase
    persona: Persona

    def answer(self, question: Question) -> dict[str, object]:
        """The reply, in the fields of `parley chat --json`."""
        watch = Stopwatch(begun=time.perf_counter())
        label = self.read_mood(question.text)
        mood = Mood(label=question.mood, confidence=1.0)
        language = language_of(question.text) or LOCALE
        prompt = self.ids(chat_prompt(self.persona, language, (), question.text, mood))
        reply = self.generate(prompt, watch, min_new_tokens=question.tokens, max_new_tokens=question.tokens)
        return {
            "reply": self.text(reply),
            "mood": {"label": label},
            "usage": {"prompt_tokens": prompt.shape[1], "completion_tokens": len(reply)},
            "seconds": {"first_token": watch.first_token, "total": time.perf_counter() - watch.begun},
        }

    def read_mood(self, text: str) -> Label:
        """The first label in the generated text, neutral if it has none. It may be one token longer than any label."""
        language = language_of(text) or LOCALE
        asked = mood_prompts()[language]
        label_of = {word: label for label, words in asked.words.items() for word in words}
        longest = max(len(self.tokenizer.encode(word, add_special_tokens=False)) for word in label_of)
        ids = self.generate(self.ids(asked.ask(text)), do_sample=False, max_new_tokens=longest + 1)
        answer = self.text(ids).lower()
        return next((label for word, label in label_of.items() if word in answer), Label.NEUTRAL)

    def ids(self, prompt: Prompt) -> Tensor:
        """Token ids of a prompt by the model's own chat template, [1, length]."""
        messages = [asdict(message) for message in prompt]
        encoded = self.tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt")
        assert isinstance(encoded, BatchEncoding)
        ids: Tensor = encoded["input_ids"]
        return ids

    def text(self, ids: list[int]) -> str:
        text = self.tokenizer.decode(ids, skip_special_tokens=True)
        assert isinstance(text, str), "one list of ids is one text"
        return text

    def generate(self, prompt: Tensor, streamer: Stopwatch | None = None, **options: object) -> list[int]:
        """Token ids that the model adds to a prompt [1, length]."""
        mask = torch.ones_like(prompt)
        output = self.model.generate(prompt, attention_mask=mask, streamer=streamer, **options)
        assert isinstance(output, Tensor), "token ids, as no option asks for more"
        added: list[int] = output[0, prompt.shape[1] :].tolist()
        return added


def main(model: str, threads: int) -> None:
    torch.set_num_threads(threads)
    bot = NaiveBot(
        model=AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32),
        tokenizer=AutoTokenizer.from_pretrained(model),
        persona=load_persona("parley"),
    )
    for line in sys.stdin:
        print(json.dumps(bot.answer(Question.model_validate_json(line))), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
