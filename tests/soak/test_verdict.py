"""Each check of the soak finds the fault that it is for."""

import json
from dataclasses import replace

from tests.soak.verdict import Said, Turn, Verdict, judge

QUESTION, ANSWER, OTHER = ("telegram", "5", "1"), ("telegram", "5", "2"), ("telegram", "5", "3")
SAID = [Said(place=QUESTION, person="5")]
TURN = Turn(question=QUESTION, state="delivered", reply="It is warm in the sun.", shown_by=(ANSWER,))
SHOWN = {ANSWER: TURN.reply}
CLEAN = Verdict(lost=[], doubled=[], misplaced=[], orphans=[], faults=[], words=[])


def line(**told: object) -> str:
    return json.dumps({"level": "info", **told})


def test_an_answered_message_is_in_order() -> None:
    """A message with one turn, which is shown, and a log of plain events are without fault."""
    log = line(event="turn ended", turn=1)
    assert judge(SAID, [TURN], SHOWN, log=log, words=["Is it warm in the sun?"]) == CLEAN


def test_a_message_without_a_turn_is_lost() -> None:
    """A message that no turn answers is lost, unless its person has taken it back."""
    assert judge(SAID, [], {}).lost == [QUESTION]
    assert judge(SAID, [], SHOWN, forgetful=frozenset({"5"})) == CLEAN


def test_an_answer_that_is_not_shown_is_lost() -> None:
    """A turn that is not delivered, whose message is gone, or whose message has only been begun, is lost."""
    assert judge(SAID, [replace(TURN, state="dead")], SHOWN).lost == [QUESTION]
    assert judge(SAID, [TURN], {}).lost == [QUESTION]
    assert judge(SAID, [TURN], {ANSWER: "…"}).lost == [QUESTION]
    assert judge(SAID, [TURN], {ANSWER: ""}).lost == [QUESTION]


def test_a_second_turn_doubles_a_message() -> None:
    """Two turns of one message are a fault, unless the person has pressed a button."""
    again = replace(TURN, shown_by=(OTHER,))
    shown = SHOWN | {OTHER: TURN.reply}
    assert judge(SAID, [TURN, again], shown).doubled == [QUESTION]
    assert judge(SAID, [TURN, replace(again, is_pressed=True)], shown) == CLEAN


def test_a_second_message_doubles_an_answer() -> None:
    """A whole message that no turn knows is an answer shown twice; one that was only begun is an orphan."""
    assert judge(SAID, [TURN], SHOWN | {OTHER: TURN.reply}).doubled == [OTHER]
    for begun in ("It is …", ""):
        assert judge(SAID, [TURN], SHOWN | {OTHER: begun}) == replace(CLEAN, orphans=[OTHER])


def test_a_message_of_two_turns_is_doubled() -> None:
    """One message that shows two turns is a fault."""
    second = ("telegram", "5", "9")
    said = [*SAID, Said(place=second, person="5")]
    assert judge(said, [TURN, replace(TURN, question=second)], SHOWN).doubled == [ANSWER]


def test_a_turn_out_of_order_is_misplaced() -> None:
    """A turn that was accepted or answered before an earlier one of its conversation is a fault; another conversation
    has an order of its own, and the answer to what overtakes has no place.
    """
    early, late = replace(TURN, shown_by=(OTHER,)), replace(TURN, question=("telegram", "5", "9"), shown_by=(ANSWER,))
    said, shown = [*SAID, Said(place=late.question, person="5")], SHOWN | {OTHER: TURN.reply}
    assert judge(said, [early, late], shown).misplaced == [late.question]
    assert judge(said, [late, early], shown).misplaced == [early.question]
    assert judge(said, [early, replace(late, conversation="another")], shown) == CLEAN
    overtaking = [*SAID, Said(place=late.question, person="5", overtakes=True)]
    assert judge(overtaking, [early, late], shown) == CLEAN
    assert judge(overtaking, [late, early], shown).misplaced == [early.question]
    greeting = replace(late, question=("telegram", "5", "turn 3"), shown_by=(("telegram", "5", "4"),))  # no question
    assert judge(SAID, [early, greeting], shown).misplaced == []


def test_what_is_unexpected_in_a_log_is_a_fault() -> None:
    """Errors, tracebacks within an event and lines that are no events are faults. A cut connection is none,
    and neither is an outage of Slack.
    """
    cut = line(level="error", event="Failed to receive or enqueue a message: ServerDisconnectedError")
    late = line(
        level="error",
        event="Failed to run a request listener: Cannot write to closing transport, session: s_1",
        exception="Traceback ...",
    )
    api = "The request to the Slack API failed. (url: http://127.0.0.1/api/apps.connections.open, status: {})"
    down = line(level="error", event=f"Failed to run message listeners: {api.format(503)}", exception="Traceback ...")
    bad = [
        line(level="error"),
        line(level="error", event=f"Failed to retrieve WSS URL: {api.format(403)}"),
        line(level="error", event="Failed to run a request listener: KeyError"),
        line(exception="Traceback ..."),
        "Traceback (most recent call last):",
    ]
    assert judge([], [], {}, log="\n".join([line(level="warning"), cut, late, down, *bad])).faults == bad


def test_words_in_a_log_are_found() -> None:
    """What a person said and what the bot replied is found in the log."""
    said = "my dog of 3 years is very ill"
    log = "\n".join([line(event="x", text=said), line(event="y", reply=TURN.reply)])
    assert judge(SAID, [TURN], SHOWN, log=log, words=[said, "my dog is well, thank you"]).words == [said, TURN.reply]
