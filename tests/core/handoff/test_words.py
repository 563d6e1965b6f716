"""Which messages ask for a person."""

import pytest

from core.handoff.words import agrees, asks_for_a_person


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
        "Hi, I'd like to speak with someone about my order.",
        "can you connect me with customer support please",
        "let me talk to a real person",
        "No, get me your manager!",
        "can I contact somebody from your team",
        "customer service",
        "客服",
        "你好，有人工客服吗？",
        "能不能帮我转一下人工",
        "我想跟真人聊聊",
        "麻烦叫一下你们的工作人员，谢谢",
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
        "I need someone",
        "somebody",
        "can I speak English with you",
        "I talked to your manager yesterday",
        "what does your customer service cost",
        "给我一个例子",
        "客服电话是多少",
        "我想找工作",
        "a " * 5_000,
    ],
)
def test_other_messages_are_for_the_bot(text: str) -> None:
    """A message that merely has such a word in it is answered."""
    assert not asks_for_a_person(text)


@pytest.mark.parametrize(
    "text", ["Yes", "yes, please!", "OK", "please do", "sure, do it", "是的", "好的，谢谢", "嗯，麻烦您了", "要"]
)
def test_a_yes_is_recognised(text: str) -> None:
    """In the words that people answer an offer with."""
    assert agrees(text)


@pytest.mark.parametrize("text", ["", "!", "no", "yes but when?", "好的，运费多少", "不要", "yes " * 5_000])
def test_what_is_more_than_a_yes_is_none(text: str) -> None:
    """A no, a question and silence are for the bot."""
    assert not agrees(text)
