"""What of Telegram's answers reaches the library."""

import json

import pytest

from bots.telegram.answers import RETRY_AFTER, AnswerRefused, read_answer


def answer(method: str, status: int, body: object) -> dict[str, object]:
    read: dict[str, object] = json.loads(read_answer(method, status, json.dumps(body).encode(), 0.0))
    return read


def test_only_what_is_read_gets_through() -> None:
    """Of a message that was sent the library gets the id, and of other methods that they succeeded."""
    sent = {"message_id": 7, "date": "x", "chat": [], "text": {"a": 1}}
    assert answer("sendMessage", 200, {"ok": True, "result": sent})["result"] == {
        "message_id": 7,
        "date": 0,
        "chat": {"id": 0, "type": "private"},
    }
    assert answer("editMessageText", 200, {"ok": True, "result": sent})["result"] is True


@pytest.mark.parametrize("message_id", [None, "7", 7.5, True, 0, -1, 2**63, [], float("nan")])
def test_id_of_another_kind_is_refused(message_id: object) -> None:
    """No id is committed that is no positive number of 63 bits."""
    with pytest.raises(AnswerRefused):
        answer("sendMessage", 200, {"ok": True, "result": {"message_id": message_id}})


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"ok":true}', b'{"ok":false,"result":1}', b"[" * 9_999, b"\xff"])
def test_success_of_another_form_is_refused(body: bytes) -> None:
    """A success without a result is none, whatever the method."""
    with pytest.raises(AnswerRefused):
        read_answer("editMessageText", 200, body, 0.0)


@pytest.mark.parametrize(
    ("given", "seconds"), [(3, 3), (3e9, 3_600), (-1, RETRY_AFTER), ("x", RETRY_AFTER), (None, RETRY_AFTER), (0.2, 1)]
)
def test_rate_limit_always_has_a_wait(given: object, seconds: float) -> None:
    """A 429 says for how long, whatever Telegram says, and an hour at most."""
    read = answer("sendMessage", 429, {"ok": False, "parameters": {"retry_after": given}})
    assert read["parameters"] == {"retry_after": seconds}


@pytest.mark.parametrize(
    "body", [7, [], {"description": 7, "parameters": 7}, {"parameters": {"migrate_to_chat_id": "x"}}]
)
def test_refusal_of_any_form_is_that_of_its_status(body: object) -> None:
    """A failure keeps its status, and nothing of another form."""
    read = answer("sendMessage", 400, body)
    assert read == {"ok": False, "error_code": 400, "description": "", "parameters": {}}


def test_update_at_fault_is_known_by_its_number() -> None:
    """The numbers of updates in a body that cannot be read are found, but none in a person's words."""
    body = rb'{"ok":true,"result":[{"update_id":12,"message":{"text":"\"update_id\":13"' + b"[" * 9_999
    with pytest.raises(AnswerRefused) as caught:
        read_answer("getUpdates", 200, body, 0.0)
    assert caught.value.updates == (12,)
