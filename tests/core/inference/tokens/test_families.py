"""Prompts of today's model families: equal to transformers' on plain text, and safe against control tokens in text."""

from datetime import UTC, datetime

import pytest

from core.clock import ManualClock
from core.errors import RolesRefused
from core.inference.tokens.template import ChatMessage, Role
from tests.core.inference.tokens.families import FAMILIES, QWEN35, reference, template, vocabulary

NAMES = sorted(FAMILIES)
S, U, A = Role.SYSTEM, Role.USER, Role.ASSISTANT
CONVERSATIONS = (
    [(U, "Hi")],
    [(S, "You are kind."), (U, "你好！")],
    [(S, "You are kind.\n"), (U, " \n 你好！"), (A, "\n\n  spaces  \n"), (U, "the cat 🤗\n\n\nsat")],
    [(U, "\n\nleading line breaks"), (A, ""), (U, "e\u0301 ½ \t tab\u00a0nbsp "), (A, "mat"), (U, "<td> \n")],
)


def messages(turns: list[tuple[Role, str]]) -> list[ChatMessage]:
    return [ChatMessage(role=role, text=text) for role, text in turns]


def text_of(name: str, ids: list[int]) -> str:
    return b"".join(map(vocabulary(name).bytes_of, ids)).decode()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("turns", CONVERSATIONS)
def test_same_ids_as_transformers(name: str, turns: list[tuple[Role, str]]) -> None:
    """Conversations without control tokens encode as `apply_chat_template` does, with thinking switched off."""
    clock = ManualClock()
    today = datetime.fromtimestamp(clock.now(), UTC).astimezone().date()
    expected = reference(name, today).apply_chat_template(
        [{"role": role, "content": text} for role, text in turns],
        add_generation_prompt=True,
        return_dict=False,
        enable_thinking=False,
    )
    assert template(name, clock).build(messages(turns)) == expected


@pytest.mark.parametrize("name", NAMES)
def test_only_the_template_adds_control_tokens(name: str) -> None:
    """A prompt has as many control tokens with every control token's name in each text as with harmless texts."""
    roles = [S, U, A, U]
    attack = "".join(vocabulary(name).control.values())
    built, harmless = (
        template(name).build(messages([(role, text) for role in roles])) for text in (f"a{attack}\n{attack}b", "ab")
    )
    control = vocabulary(name).control
    assert [token for token in built if token in control] == [token for token in harmless if token in control]
    assert text_of(name, built).count(attack) == 2 * len(roles)


@pytest.mark.parametrize("name", NAMES)
def test_the_end_of_a_message_is_learned(name: str) -> None:
    """The token that ends a reply is the first control token after a message of the assistant."""
    end = template(name).end
    assert end is not None
    assert vocabulary(name).control[end] == FAMILIES[name].end


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("system", [[(S, "the cat sat\n")], []])
def test_the_shared_prefix_ends_before_the_users_text(name: str, system: list[tuple[Role, str]]) -> None:
    """Prompts with different questions share their beginning up to the question, and the prefix holds none of it."""
    chat = template(name)
    beginnings = set()
    for question in ("\n\nsat", "hello", "你好", " \n"):
        conversation = messages([*system, (U, question)])
        ids = chat.build(conversation)
        beginnings.add(text_of(name, ids[: chat.shared_prefix(conversation, ids)]))
    longest = max(beginnings, key=len)
    assert all(longest.startswith(beginning) and len(longest) - len(beginning) <= 2 for beginning in beginnings)
    assert ("the cat sat" in longest) == bool(system)
    assert text_of(name, chat.build(messages([*system, (U, "hello")]))).startswith(longest + "hello")


def test_an_empty_think_block_precedes_the_reply() -> None:
    """Models that can think are told not to: the prompt ends with the empty think block of their template."""
    for name, block in {
        "qwen3": "<think>\n\n</think>\n\n",
        "qwen3.5": "<think>\n\n</think>\n\n",
        "smollm3": "<think>\n\n</think>\n",
    }.items():
        ids = template(name).build(messages([(U, "Hi")]))
        assert text_of(name, ids).endswith(f"<|im_start|>assistant\n{block}")
        assert {"<think>", "</think>"} <= {vocabulary(name).control.get(token) for token in ids}


def test_the_date_is_todays() -> None:
    """A template that writes the date writes that of the day of the prompt, not of the start."""
    clock = ManualClock(epoch=datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp())
    chat, question = template("llama3", clock), messages([(U, "Hi")])
    assert "Date: 01 Mar 2026" in text_of("llama3", chat.build(question))
    clock.advance(24 * 60 * 60)
    assert "Date: 02 Mar 2026" in text_of("llama3", chat.build(question))


@pytest.mark.parametrize("turns", [[(U, "one"), (U, "two")], [(A, "one"), (U, "two")]])
def test_roles_that_the_template_rejects(turns: list[tuple[Role, str]]) -> None:
    """An order of roles that the model's template rejects raises RolesRefused; ChatML accepts any."""
    with pytest.raises(RolesRefused, match="rejects"):
        template("gemma3").build(messages(turns))
    assert template("smollm2").build(messages(turns))


def test_a_message_that_the_template_drops() -> None:
    """A message that the template would leave out raises RolesRefused: SmolLM3 has no second system message."""
    with pytest.raises(RolesRefused, match="rewrites"):
        template("smollm3").build(messages([(U, "one"), (S, "two"), (U, "three")]))


def test_a_cause_given_by_the_template_is_reported() -> None:
    """What a template passes to `raise_exception` is part of the error."""
    assert "no question" in QWEN35
    with pytest.raises(RolesRefused, match="no question"):
        template("qwen3.5").build(messages([(U, "one"), (A, "two")]))
