import pytest

from core.pleasantries import is_pleasantry


@pytest.mark.parametrize(
    "text",
    [
        *(
            "ok",
            "OK, thanks!",
            "Thank you very much :)",
            "great, that’s all. Bye!",
            "Hi there!",
            "👍",
            "no thanks",
            "...",
        ),
        *("谢谢", "好的，谢谢您！", "嗯嗯", "好好好", "知道了，再见～", "謝謝", "哈哈哈", "你好！"),
    ],
)
def test_pleasantries_are_recognised(text: str) -> None:
    """Greetings, thanks and nods, also several of them, in any case and with any marks."""
    assert is_pleasantry(text)


@pytest.mark.parametrize(
    "text",
    [
        *("thanks, and what does shipping cost?", "ok 2", "Is it good?", "no refund?", "hi do you ship", "helloworld"),
        *("好的，运费多少？", "你好，几点开门", "可以退货吗", "谢谢的英文是什么", "行李可以寄存吗", "早餐几点"),
        "thanks " * 40,
    ],
)
def test_questions_are_not(text: str) -> None:
    """What asks for anything is looked up, however politely it begins."""
    assert not is_pleasantry(text)
