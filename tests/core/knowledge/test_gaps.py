from core.knowledge.gaps import grouped
from core.store.gaps import Missed, Sign


def test_questions_that_ask_alike_are_one_gap() -> None:
    """In both languages, whatever the small words; what is asked most comes first."""
    texts = [
        "how deep is the pool",
        "泳池有多深",
        "is the pool deep?",
        "do you rent cars",
        "泳池多深啊？",
        "how deep's your pool",
    ]
    gaps = grouped(Missed(turn_id=1, text=text, locale="en", sign=Sign.REFUSED) for text in texts)
    assert [[question.text for question in gap.questions] for gap in gaps] == [
        ["how deep is the pool", "is the pool deep?", "how deep's your pool"],
        ["泳池有多深", "泳池多深啊？"],
        ["do you rent cars"],
    ]


def test_questions_without_a_topic_are_told_apart() -> None:
    """Small words alone are compared as they are."""
    gaps = grouped(
        Missed(turn_id=1, text=text, locale="en", sign=Sign.REFUSED) for text in ("who are you", "what is it", "", "!")
    )
    assert len(gaps) == 4
