import pytest

from core.questions import same_question, stands_alone


@pytest.mark.parametrize(
    "question",
    [
        "What are your opening hours?",
        "Do you ship abroad?",
        "How can I pay?",
        "你们几点开门？",
        "可以用支付宝付款吗",
        "运费多少钱？",
    ],
)
def test_complete_question_stands_alone(question: str) -> None:
    """A self-contained question can be shared."""
    assert stands_alone(question)


@pytest.mark.parametrize(
    "question",
    [
        "and the other one?",
        "What about Sunday?",
        "Why?",
        "yes please",
        "How much is it in blue?",
        "What is my name?",
        "What did I say before?",
        "Which of them is cheaper?",
        "Tell me more about it",
        "那周日呢？",
        "它多少钱？",
        "我叫什么名字？",
        "还有别的吗",
        "为什么",
        "刚才那个怎么样",
    ],
)
def test_follow_up_does_not_stand_alone(question: str) -> None:
    """A question that refers to the conversation or to the asker cannot be shared."""
    assert not stands_alone(question)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("When do you open?", "  when do  you open "),
        ("Can I pay by card?", "can I pay by card"),
        ("Is parking free？", "is parking free?"),
        ("你们几点开门？", "你们几点开门"),
        ("可以用支付宝吗？", "可以用支付宝吗"),
        ("ＷｉＦｉ　密码多少？", "WiFi 密码多少?"),
        ("I live in Bonn.", "I live in Bonn"),
        ("Café hours", "Cafe\u0301 hours"),
    ],
)
def test_the_same_question_in_another_form(one: str, other: str) -> None:
    """Width, spaces, the capital of a first question word and an idle closing mark make no difference."""
    assert same_question(one) == same_question(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What is 5²?", "What is 52?"),
        ("How much is 2⁵", "How much is 25"),
        ("Is x½ right", "Is x1⁄2 right"),
        ("Is ㎏ a unit", "Is kg a unit"),
        ("Explain US law to a child", "explain us law to a child"),
        ("What does IT do", "What does it do"),
        ("Turkey for six people", "turkey for six people"),
        ("print 'A' + 'a' in Python", "print 'a' + 'a' in Python"),
        ("How long is 'a  b'?", "How long is 'a b'?"),
        ("if a:\n  b\nc", "if a:\n  b\n  c"),
        ("You like dogs?", "You like dogs."),
        ("What is ??", "What is ?"),
        ("What is ?", "What is"),
        ("他来了？", "他来了。"),
        ("I got it!", "I got it."),
    ],
)
def test_another_question(one: str, other: str) -> None:
    """Exponents, units, capitals, spaces in quotes or code, and marks with a meaning make another question."""
    assert same_question(one) != same_question(other)
