"""Imitations of the chat templates and tokenizers of today's model families: the same structure in few lines."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache

from tokenizers import AddedToken, Tokenizer, decoders, normalizers, pre_tokenizers, trainers
from tokenizers.models import BPE
from transformers import PreTrainedTokenizerFast

from core.clock import ManualClock
from core.inference.tokens.template import ChatTemplate, load_template
from core.inference.tokens.vocabulary import Vocabulary, load_vocabulary

CORPUS = [
    "the cat sat on the mat\n\nand the dog sat on the log\nuser system assistant model",
    "你好，今天天气很好。",
] * 4

LLAMA3 = """{{- bos_token }}
{%- if not date_string is defined %}{% set date_string = strftime_now("%d %b %Y") %}{% endif %}
{%- if messages[0].role == 'system' %}
    {%- set system = messages[0].content | trim %}{% set messages = messages[1:] %}
{%- else %}{% set system = '' %}{% endif %}
{{- '<|start_header_id|>system<|end_header_id|>\\n\\nDate: ' + date_string + '\\n\\n' + system + '<|eot_id|>' }}
{%- for message in messages %}
    {{- '<|start_header_id|>' + message.role + '<|end_header_id|>\\n\\n' + message.content | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"""

GEMMA3 = """{{ bos_token }}
{%- if messages[0].role == 'system' -%}
    {%- set prefix = messages[0].content + '\\n\\n' -%}{%- set rest = messages[1:] -%}
{%- else -%}{%- set prefix = '' -%}{%- set rest = messages -%}{%- endif -%}
{%- for message in rest -%}
    {%- if (message.role == 'user') != (loop.index0 % 2 == 0) -%}
        {{ raise_exception('roles must alternate') }}
    {%- endif -%}
    {%- set role = 'model' if message.role == 'assistant' else message.role -%}
    {{ '<start_of_turn>' + role + '\\n' + (prefix if loop.first else '') }}
    {{- message.content | trim }}{{ '<end_of_turn>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<start_of_turn>model\\n' }}{%- endif -%}"""

QWEN3 = """{%- set ns = namespace(last=-1) %}
{%- for message in messages %}{% if message.role == 'user' %}{% set ns.last = loop.index0 %}{% endif %}{% endfor %}
{%- for message in messages %}
    {%- if message.role == 'assistant' and '</think>' in message.content %}
        {%- set content = message.content.split('</think>')[-1].lstrip('\\n') %}
    {%- else %}{% set content = message.content %}{% endif %}
    {%- if message.role == 'assistant' and loop.index0 > ns.last %}
        {{- '<|im_start|>assistant\\n<think>\\n\\n</think>\\n\\n' + content.lstrip('\\n') + '<|im_end|>\\n' }}
    {%- else %}{{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>\\n' }}{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}{{ '<think>\\n\\n</think>\\n\\n' }}{% endif %}
{%- endif %}"""

SMOLLM3 = """{%- if enable_thinking is not defined %}{% set enable_thinking = true %}{% endif %}
{{- '<|im_start|>system\\nDate: ' + strftime_now('%d %B %Y') + '\\n' }}
{%- if messages[0].role == 'system' %}{{ messages[0].content.replace('/no_think', '').rstrip() }}
{%- else %}{{ 'You are small.' }}{% endif %}
{{- '\\n\\n<|im_end|>\\n' }}
{%- for message in messages %}
    {%- if message.role == 'user' %}{{ '<|im_start|>user\\n' + message.content + '<|im_end|>\\n' }}
    {%- elif message.role == 'assistant' %}{% generation %}
        {{- '<|im_start|>assistant\\n' + ('' if enable_thinking else '<think>\\n\\n</think>\\n') }}
        {{- message.content.lstrip('\\n') + '<|im_end|>\\n' }}{% endgeneration %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' + ('' if enable_thinking else '<think>\\n\\n</think>\\n') }}
{%- endif %}"""

QWEN35 = """{%- if messages[-1].role != 'user' %}{{ raise_exception('no question') }}{% endif %}
{%- for message in messages %}
    {%- if message.role == 'system' and not loop.first %}{{ raise_exception('system comes first') }}{% endif %}
    {{- '<|im_start|>' + message.role + '\\n' + message.content | trim + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {{- '<think>\\n' if enable_thinking is defined and enable_thinking else '<think>\\n\\n</think>\\n\\n' }}
{%- endif %}"""

GRANITE4 = """{%- set default = 'Be helpful.' %}
{%- if messages[0].role == 'system' %}
    {%- set default = messages[0].content %}{% set messages = messages[1:] %}
{%- endif %}
{{- '<|start_of_role|>system<|end_of_role|>' + default + '<|end_of_text|>\\n' }}
{%- for message in messages %}
    {{- '<|start_of_role|>' + message.role + '<|end_of_role|>' + message.content + '<|end_of_text|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|start_of_role|>assistant<|end_of_role|>' }}{% endif %}"""

CHATML = """{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""

QWEN25 = "{% if messages[0].role != 'system' %}{{ '<|im_start|>system\\nI am Q.<|im_end|>\\n' }}{% endif %}" + CHATML


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A template, its control tokens, and the name of the token that ends a message. `bos` is written by the template.
    `plain_added`: added tokens that are not marked special.
    """

    template: str
    control: tuple[str, ...]
    end: str
    bos: str | None = None
    plain_added: tuple[str, ...] = ()
    byte_fallback: bool = False


DATE = re.compile(r"strftime_now\(['\"](.*?)['\"]\)")
IM = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
THINK = ("<think>", "</think>")
FAMILIES: Mapping[str, Family] = {
    "smollm2": Family(template=CHATML, control=IM, end="<|im_end|>"),
    "qwen2.5": Family(template=QWEN25, control=IM, plain_added=("<tool_call>",), end="<|im_end|>"),
    "qwen3": Family(template=QWEN3, control=IM, plain_added=THINK, end="<|im_end|>"),
    "qwen3.5": Family(template=QWEN35, control=IM, plain_added=THINK, end="<|im_end|>"),
    "smollm3": Family(template=SMOLLM3, control=IM, plain_added=THINK, end="<|im_end|>"),
    "llama3": Family(
        template=LLAMA3,
        control=("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
        bos="<|begin_of_text|>",
        end="<|eot_id|>",
    ),
    "gemma3": Family(
        template=GEMMA3,
        control=("<bos>", "<start_of_turn>", "<end_of_turn>"),
        plain_added=("\n\n", "<table>"),
        bos="<bos>",
        end="<end_of_turn>",
        byte_fallback=True,
    ),
    "granite4": Family(
        template=GRANITE4,
        control=("<|start_of_role|>", "<|end_of_role|>", "<|end_of_text|>"),
        plain_added=THINK,
        end="<|end_of_text|>",
    ),
    "lfm2.5": Family(
        template="{{- bos_token -}}" + CHATML,
        control=("<|startoftext|>", *IM),
        bos="<|startoftext|>",
        end="<|im_end|>",
    ),
}


@cache
def tokenizer(name: str) -> Tokenizer:
    family = FAMILIES[name]
    built = _with_byte_fallback() if family.byte_fallback else _byte_level()
    built.add_tokens([AddedToken(token, special=True, normalized=False) for token in family.control])
    built.add_tokens([AddedToken(token, special=False, normalized=False) for token in family.plain_added])
    return built


def _byte_level() -> Tokenizer:
    built = Tokenizer(BPE())
    built.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    built.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    built.train_from_iterator(
        CORPUS, trainers.BpeTrainer(vocab_size=320, initial_alphabet=alphabet, show_progress=False)
    )
    return built


def _with_byte_fallback() -> Tokenizer:
    """As in Gemma: a space is written as U+2581, and characters outside the vocabulary as their bytes."""
    names = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256))]
    built = Tokenizer(BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    built.normalizer = normalizers.Replace(" ", "\u2581")
    built.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()])
    trainer = trainers.BpeTrainer(vocab_size=380, special_tokens=names, limit_alphabet=40, show_progress=False)
    built.train_from_iterator(CORPUS, trainer)
    spec = json.loads(built.to_str())
    spec["added_tokens"] = [entry for entry in spec["added_tokens"] if entry["content"] == "<unk>"]
    return Tokenizer.from_str(json.dumps(spec))


@cache
def vocabulary(name: str) -> Vocabulary:
    return load_vocabulary(json.loads(tokenizer(name).to_str()), name)


def template(name: str, clock: ManualClock | None = None) -> ChatTemplate:
    family = FAMILIES[name]
    special = {"bos_token": family.bos} if family.bos else {}
    return load_template(family.template, special, vocabulary(name), clock or ManualClock())


def reference(name: str, today: date) -> PreTrainedTokenizerFast:
    """The tokenizer of transformers with the same template, on a certain day."""
    family = FAMILIES[name]
    built = PreTrainedTokenizerFast(tokenizer_object=tokenizer(name), bos_token=family.bos)
    built.chat_template = DATE.sub(lambda call: repr(today.strftime(call[1])), family.template)
    return built
