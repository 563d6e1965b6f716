"""Writes `benchmarks/RESULTS.md` and its chart."""

import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.figures import Figure, table
from benchmarks.plot import plot
from benchmarks.quality import Quality
from benchmarks.quality import table as quality_table

PAGE = Path(__file__).with_name("RESULTS.md")
CHART = Path(__file__).with_name("results.svg")
METHOD = """\
All figures come from one run on one machine. A section is about one model: one with real weights if a folder of such
was given, and one that has the exact shape of Qwen2.5-0.5B with random weights in bf16. Each engine converts it to its
own format; llama.cpp's files come from its own quantiser without an importance matrix, as `llama-quantize` writes them.
Only one engine is loaded at a time, except in "One message". Each round measures every engine, and the engines take
turns to be first. A figure is the median over the rounds, with minimum and maximum in brackets. Ratios are computed per
round; above 1 Parley is better, for times as for speeds. ✓ marks a target that the median reaches. The end of a
workload's name says which of Parley's weights were measured; "the better of" two engines is the better one of each
round.

- **Decode and prefill** run in process: Parley's scheduler and runner ([parley_worker.py](parley_worker.py)),
  llama.cpp's batched decoding ([llama_worker.py](alternatives/llama_worker.py)), CTranslate2's generator
  ([ctranslate2_worker.py](alternatives/ctranslate2_worker.py)), OpenVINO GenAI's pipeline on llama.cpp's file
  ([openvino_worker.py](alternatives/openvino_worker.py)), ONNX Runtime GenAI's generator on what its own builder writes
  ([onnxruntime_worker.py](alternatives/onnxruntime_worker.py)). Decoding follows a prompt of 32 tokens; one sequence
  decodes 64 tokens, eight sequences decode 32 each. Every prompt is new.
- **Memory read bandwidth** is the best of five passes of a loop in C over 1 GiB with the same number of threads
  ([bandwidth.c](bandwidth.c)). Decoding reads every weight once per token, the head included. Keys and values are not
  counted: at this length they are a hundredth of the weights.
- **8 people** converse concurrently over HTTP, each with turns of their own and all with one system prompt. The
  baseline is llama.cpp's server with one slot per person. Real weights may end a reply early: the total is then scaled
  to the full number of tokens.
- **Turn 6** is compared with turn 1 of the same conversation. The system prompt is in the cache before turn 1.
- **Peak memory of the server** is the peak resident set (VmHWM), mapped files included, after eight sequences have
  filled 2,048 tokens each.
- **One message** passes through the whole of Parley: `parley chat --json` with default settings (admission with fsync,
  store, mood, reply, delivery). The baseline is a naive bot ([naive.py](naive.py)): transformers in fp32 in one
  process, one `generate` call that writes the mood as text and one for the reply, nothing reused. Both bots get the
  same prompts without history and generate the same number of tokens. Both are loaded at once and take turns. Parley's
  memory is that of the gateway plus that of the model server. Memory after the last reply is the proportional set
  (PSS), in which a page that both bots map counts half for each.
- **Quality** compares each kind of weights with the same weights in fp32, at every position of two kinds of text: the
  bot's prompts with held-out sentences, and prose in English and Chinese ([texts](texts)) in passages of 512 tokens.
  `llama.cpp F32` shows what another engine's arithmetic alone changes. Perplexity is that of the prose, from the second
  token of each passage on. The mood is read from the development set, by the bot's own code and calibration. Greedy
  replies have 32 tokens. Weights that were already in four bits once, as safetensors made from a GGUF file are, are
  almost exact in the same four bits again: they cannot show which format loses less.

The model with random weights gives a logit other than zero only to words. So no reply ends by chance, and a reply that
comes back as history encodes to the tokens that were generated, as with a real model. The in-process benchmark replaces
Parley's sampled tokens with random ones, so that speculative decoding gains nothing."""


@dataclass(slots=True, kw_only=True)
class Section:
    """What was measured with one model."""

    title: str
    figures: list[Figure] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    def show(self) -> str:
        """Markdown of what is not empty."""
        parts = [table(self.figures)] if self.figures else []
        return "\n\n".join([f"## {self.title}", *parts, *self.messages]) if parts or self.messages else ""


@dataclass(slots=True, kw_only=True)
class Results:
    """Results of a run so far: a section for each model, the most interesting one first, and the quality of all."""

    sections: list[Section] = field(default_factory=list)
    quality: list[Quality] = field(default_factory=list)
    quality_figures: list[Figure] = field(default_factory=list)

    def show(self) -> str:
        """Markdown of the tables that are not empty."""
        parts = [section.show() for section in self.sections]
        if self.quality:
            parts.append("\n\n".join(["## Quality", table(self.quality_figures), quality_table(self.quality)]))
        return "\n\n".join(filter(None, parts))


def write_results(results: Results, machine: str) -> None:
    """Writes the page, and the chart of the first section."""
    CHART.write_text(plot(results.sections[0].figures), "utf-8")
    PAGE.write_text(_page(results, machine), "utf-8")


def without_folders(arguments: Sequence[str]) -> list[str]:
    """The arguments with the last parts of paths only: the others say nothing about the figures."""
    return [Path(argument).name if os.sep in argument else argument for argument in arguments]


def _page(results: Results, machine: str) -> str:
    command = f"make bench ARGS={shlex.quote(shlex.join(without_folders(sys.argv[1:])))}"
    when = datetime.now(UTC).strftime("%Y-%m-%d")
    chart = f"![Bar chart of the ratios]({CHART.name})"
    return (
        "\n\n".join(["# Results", f"{when}: `{command}` on {machine}.", chart, results.show(), "## Method", METHOD])
        + "\n"
    )
