"""The naive bot to compare with: transformers in fp32 in one process, a `generate` for the mood and one for the reply,
nothing reused. `python -m benchmarks.naive MODEL THREADS` answers each line on standard input, a JSON object, with one.
"""

import json
import sys
import time
from dataclasses import asdict, dataclass, field

import torch
from pydantic import BaseModel
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from benchmarks.questions import LOCALE
from config.personas import load_persona
from core.language import language_of
from core.messages import Label, Mood
from core.mood import LABEL_PROMPTS, mood_prompt
from core.prompt import Persona, Prompt, chat_prompt


class Question(BaseModel, frozen=True, extra="forbid"):
    """What to answer, and how: `tokens` long, and with the hint for `mood`, so that the prompt and the length are the
    other side's. This bot reads the mood all the same.
    """

    text: str
    mood: Label
    tokens: int


@dataclass(slots=True, kw_only=True)
class Stopwatch:
    """A streamer, as `generate` takes one, that remembers when the first token came. The prompt is streamed first."""

    begun: float
    seen: list[float] = field(default_factory=list)

    @property
    def first_token(self) -> float:
        return self.seen[1] - self.begun

    def put(self, _: Tensor) -> None:
        self.seen.append(time.perf_counter())

    def end(self) -> None:
        pass


@dataclass(frozen=True, slots=True, kw_only=True)
class NaiveBot:
    """A model, its tokenizer and who it pretends to be."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    persona: Persona

    def answer(self, asked: Question) -> dict[str, object]:
        """The reply with the fields of `parley chat --json`."""
        watch = Stopwatch(begun=time.perf_counter())
        label = self.read_mood(asked.text)
        mood = Mood(label=asked.mood, confidence=1.0)
        prompt = self.ids(chat_prompt(self.persona, LOCALE, (), asked.text, mood))
        reply = self.generate(prompt, watch, min_new_tokens=asked.tokens, max_new_tokens=asked.tokens)
        return {
            "reply": self.tokenizer.decode(reply, skip_special_tokens=True),
            "mood": {"label": label},
            "usage": {"prompt_tokens": prompt.shape[1], "completion_tokens": len(reply)},
            "seconds": {"first_token": watch.first_token, "total": time.perf_counter() - watch.begun},
        }

    def read_mood(self, text: str) -> Label:
        """The first label in what the model says; it may say as many tokens as the longest label has, and end."""
        language = language_of(text) or LOCALE
        words = LABEL_PROMPTS[language].words
        longest = max(len(self.tokenizer.encode(word, add_special_tokens=False)) for word in words.values())
        said = self.generate(self.ids(mood_prompt(text, language)), do_sample=False, max_new_tokens=longest + 1)
        answer = self.tokenizer.decode(said, skip_special_tokens=True).lower()
        return next((label for label, word in words.items() if word in answer), Label.NEUTRAL)

    def ids(self, prompt: Prompt) -> Tensor:
        """A prompt through the model's own template, [1, length]."""
        messages = [asdict(message) for message in prompt]
        return self.tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt").input_ids

    def generate(self, prompt: Tensor, streamer: Stopwatch | None = None, **options: object) -> list[int]:
        mask = torch.ones_like(prompt)
        output = self.model.generate(prompt, attention_mask=mask, streamer=streamer, **options)
        return output[0, prompt.shape[1] :].tolist()


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
