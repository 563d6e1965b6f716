"""Which messages ask for a person."""

import pytest

from core.handoff.words import asks_for_a_person


@pytest.mark.parametrize(
    "text",
    [
        "A person, please!",
        "I want to talk to a human",
        "Can I speak to a real person please?",
        "human",
        "connect me to an operator",
        "转人工",
        "请转人工客服。",
        "我要找真人客服",
    ],
)
def test_a_wish_is_recognised(text: str) -> None:
    """A message that says nothing else, in English or Chinese, with any marks."""
    assert asks_for_a_person(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I am a person who likes tea",
        "which person wrote Faust?",
        "the operator of the crane was rude",
        "is human nature good",
        "人工智能是什么",
        "talk to me",
        "a " * 5_000,
    ],
)
def test_other_messages_are_for_the_bot(text: str) -> None:
    """A message that merely has such a word in it is answered."""
    assert not asks_for_a_person(text)
