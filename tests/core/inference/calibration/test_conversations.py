"""The conversations that models read when their weights are quantised."""

import re

import pytest

from core.inference.calibration.conversations import Conversation, conversation_ids, read_conversations
from core.inference.loader import LoadedModel
from core.inference.tokens.template import Role

CHINESE = re.compile("[\u4e00-\u9fff]")


@pytest.fixture(params=["conversations", "judged"])
def conversations(request: pytest.FixtureRequest) -> tuple[Conversation, ...]:
    found: tuple[Conversation, ...] = getattr(read_conversations(), request.param)
    return found


def test_the_assistant_has_the_last_word(conversations: tuple[Conversation, ...]) -> None:
    """After a system message, or none, the user and the assistant speak in turn."""
    for conversation in conversations:
        roles = [message.role for message in conversation.messages if message.role is not Role.SYSTEM]
        assert roles == [Role.USER, Role.ASSISTANT] * (len(roles) // 2)
        assert all(message.text for message in conversation.messages)


def test_both_languages_are_there(conversations: tuple[Conversation, ...]) -> None:
    """Each in a third of the conversations at least."""
    texts = ["".join(conversation.turns) for conversation in conversations]
    chinese = sum(len(CHINESE.findall(text)) > len(text) / 4 for text in texts)
    assert len(texts) / 3 < chinese < len(texts) * 2 / 3


def test_none_is_judged_that_weights_are_rounded_for() -> None:
    """No text of one is in the other."""
    found = read_conversations()
    texts = [{turn for each in kind for turn in each.turns} for kind in (found.conversations, found.judged)]
    assert not texts[0] & texts[1]


def test_a_model_reads_the_prompt_and_the_reply(tiny: LoadedModel) -> None:
    """The ids are those of the prompt that the server would build, and of the reply as it is written."""
    for conversation in read_conversations().conversations:
        prompt, reply = conversation_ids(tiny.template, conversation)
        assert prompt == tiny.template.build(conversation.messages[:-1])
        assert tiny.vocabulary.encode(conversation.turns[-1]) == reply
