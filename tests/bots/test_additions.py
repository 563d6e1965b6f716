from bots.additions import with_additions
from core.messages import Label, Mood, Reply, Source

MOOD = Mood(label=Label.POSITIVE, confidence=0.9)


def test_what_a_reply_cites_stands_below_it() -> None:
    """In a paragraph of its own, after the emoji, and none of it is markup."""
    reply = Reply(text="We open at 9.", source=Source.MODEL, mood=MOOD, show_mood=True, cites="From: *Hours* [a_b]")
    assert with_additions(reply) == "We open at 9. 😊\n\nFrom: \\*Hours\\* \\[a\\_b\\]"


def test_an_open_code_block_is_closed_before_it() -> None:
    """What is cited is no part of the code."""
    reply = Reply(text="```\nopen()", source=Source.MODEL, cites="From: Hours")
    assert with_additions(reply) == "```\nopen()\n```\n\nFrom: Hours"


def test_nothing_is_added_to_other_replies() -> None:
    """A reply that cites nothing and shows no mood is as it is."""
    assert with_additions(Reply(text="We open at 9.", source=Source.MODEL)) == "We open at 9."
