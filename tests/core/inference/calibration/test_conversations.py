"""The conversations that models read when their weights are quantised."""

import re

from core.inference.calibration.conversations import conversation_ids, read_conversations
from core.inference.loader import LoadedModel
from core.inference.tokens.template import Role

CHINESE = re.compile("[\u4e00-\u9fff]")


def test_the_assistant_has_the_last_word() -> None:
    """After a system message, or none, the user and the assistant speak in turn."""
    for conversation in read_conversations():
        roles = [message.role for message in conversation.messages if message.role is not Role.SYSTEM]
        assert roles == [Role.USER, Role.ASSISTANT] * (len(roles) // 2)
        assert all(message.text for message in conversation.messages)


def test_both_languages_are_there() -> None:
    """Each in a third of the conversations at least."""
    texts = ["".join(conversation.turns) for conversation in read_conversations()]
    chinese = sum(len(CHINESE.findall(text)) > len(text) / 4 for text in texts)
    assert len(texts) / 3 < chinese < len(texts) * 2 / 3


def test_a_model_reads_the_prompt_and_the_reply(tiny: LoadedModel) -> None:
    """The ids are those of the prompt that the server would build, and of the reply as it is written."""
    for conversation, ids in zip(read_conversations(), conversation_ids(tiny.template), strict=True):
        prompt = tiny.template.build(conversation.messages[:-1])
        assert ids[: len(prompt)] == prompt
        assert tiny.vocabulary.encode(conversation.turns[-1]) == ids[len(prompt) :]
