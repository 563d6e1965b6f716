"""Counters have few labels, of fixed words."""

from prometheus_client import generate_latest

from core.measures import Ending, Measures
from core.messages import Finish, Label, Mood, Reply, Source


def text_of(measures: Measures) -> list[str]:
    return generate_latest(measures.registry).decode().splitlines()


def test_a_reply_is_counted_with_its_mood_and_times() -> None:
    """Answers have durations, and commands none: they would make the quantiles say nothing of the model."""
    measures = Measures()
    mood = Mood(label=Label.NEGATIVE, confidence=0.9)
    answer = Reply(text="a", source=Source.MODEL, finish=Finish.LENGTH, mood=mood)
    measures.note_reply(answer, first_piece=0.3, seconds=3.0)
    measures.note_reply(Reply(text="b", source=Source.COMMAND), first_piece=0.3, seconds=3.0)
    found = text_of(measures)
    assert 'parley_replies_total{finish="length",source="model"} 1.0' in found
    assert 'parley_replies_total{finish="stop",source="command"} 1.0' in found
    assert 'parley_moods_total{label="negative"} 1.0' in found
    assert 'parley_moods_total{label="positive"} 0.0' in found
    assert 'parley_first_piece_seconds_bucket{le="0.2",source="model"} 0.0' in found
    assert 'parley_first_piece_seconds_bucket{le="0.5",source="model"} 1.0' in found
    assert 'parley_answer_seconds_sum{source="model"} 3.0' in found
    assert not [line for line in found if "_seconds" in line and "command" in line]


def test_messages_and_deliveries_are_counted_by_platform() -> None:
    """And by what became of them."""
    measures = Measures()
    measures.note_message("telegram", "throttled")
    measures.note_delivery("slack", Ending.RETRIED)
    found = text_of(measures)
    assert 'parley_messages_total{outcome="throttled",platform="telegram"} 1.0' in found
    assert 'parley_deliveries_total{outcome="retried",platform="slack"} 1.0' in found


def test_a_transaction_is_timed_to_its_end() -> None:
    """Also one that fails."""
    measures = Measures()
    with measures.transaction():
        pass
    assert "parley_store_commit_seconds_count 1.0" in text_of(measures)
