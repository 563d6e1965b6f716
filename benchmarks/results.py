"""`benchmarks/RESULTS.md` and its plot, written by the program that measured."""

import shlex
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.figures import Figure, table
from benchmarks.plot import plot

PAGE = Path(__file__).with_name("RESULTS.md")
PLOT = Path(__file__).with_name("results.svg")
QUALITY_HEAD = (
    "| model | precision | same likeliest token | KL from fp32, mean (worst) | greedy texts unchanged |\n"
    "|---|---|---|---|---|"
)
METHOD = """\
All figures are of one run on one machine. Where nothing else is said the model has Qwen2.5-0.5B's exact shape and
random weights in bf16, out of which each side makes its own form. Each contender has the machine to itself: they
are loaded one after the other, never two at once, in every round another one first. Figures are medians over the
rounds, with the smallest and the largest in brackets. Ratios are taken round by round; above 1 Parley is better,
whether more or less of the unit is; ✓ marks an aim that is reached.

- **Decode and prefill** run in process: Parley's scheduler and runner ([parley_rows.py](parley_rows.py)),
  llama.cpp's batched decoding ([llama_rows.py](alternatives/llama_rows.py)), CTranslate2's generator
  ([ctranslate2_rows.py](alternatives/ctranslate2_rows.py)). Decoding starts behind 32 tokens; one row writes 64
  tokens, eight rows 32 each. The prompts are new every time.
- **Read bandwidth** is the best of five passes of a loop in C over 1 GiB with as many threads
  ([bandwidth.c](bandwidth.c)). A token reads every weight once, the head included; keys and values at this length
  are a hundredth of that.
- **People** talk over HTTP, all at once, each through turns of their own behind one system prompt, against
  llama.cpp's own server with a slot for each.
- **Turn 6 against turn 1** is the same conversation; the system prompt was read before.
- **Memory** of the servers is the most that was ever resident (VmHWM), mapped files included, after eight rows have
  filled 2,048 tokens each.
- **One message** goes through the whole of Parley, driven as `parley chat --json` with its default settings
  (admission with fsync, store, mood, reply, delivery), and then through a naive bot ([naive.py](naive.py)):
  transformers in fp32 in one process, one `generate` that writes the mood as text and one for the reply, nothing
  reused. Both read the same prompts without history and write the same number of tokens. Memory is Parley's gateway
  plus its model server: the most that was ever resident, and the share (PSS) after the last reply, where what both
  bots map counts half for each. These two are loaded together and take turns.
- **Quality** compares logits at every place of the prompts, and greedy replies of 32 tokens, with the same weights
  in fp32.

In the model of random weights only words have a logit: noise does not end a reply by chance, and a reply that comes
back as history is the tokens that were written, as with a real model. In process its choices are replaced by noise,
so that no contender can guess ahead."""


@dataclass(slots=True, kw_only=True)
class Results:
    """What a run has found so far: the figures, rows of Markdown on quality, and tables on single messages."""

    figures: list[Figure] = field(default_factory=list)
    quality: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    def show(self) -> str:
        """The tables that have something in them."""
        parts = [table(self.figures)] if self.figures else []
        parts += ["\n".join(["## Quality", "", QUALITY_HEAD, *self.quality])] if self.quality else []
        return "\n\n".join([*parts, *self.messages])


def write_results(results: Results, machine: str) -> None:
    """Writes the page and, where there are ratios, the plot."""
    PLOT.write_text(plot(results.figures), "utf-8")
    PAGE.write_text(_page(results, machine), "utf-8")


def _page(results: Results, machine: str) -> str:
    command = f"make bench ARGS={shlex.quote(shlex.join(sys.argv[1:]))}"
    when = datetime.now(UTC).strftime("%Y-%m-%d")
    picture = f"![The ratios]({PLOT.name})"
    return (
        "\n\n".join(["# Results", f"{when}: `{command}` on {machine}.", picture, results.show(), "## How", METHOD])
        + "\n"
    )
