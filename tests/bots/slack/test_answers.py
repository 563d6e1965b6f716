"""What of Slack's answers reaches the library and the store."""

import pytest

from bots.slack.answers import Account, Posted, PostedDirectly, Socket, Upload, read, read_fields
from core.errors import AnswerUnreadable


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b"null", b'{"ok":1}', b'"ok"', b"[" * 9_999, b"\xff", b'{"ok":"true"}']
)
def test_success_of_another_form_is_unreadable(body: bytes) -> None:
    """A status 200 without Slack's `ok` is no answer of Slack's."""
    with pytest.raises(AnswerUnreadable):
        read_fields(200, body)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (200, b'{"ok":false,"error":"not_in_channel","x":[1]}', "not_in_channel"),
        (200, b'{"ok":false,"error":7}', ""),
        (429, b"slow down", ""),
        (503, b"<html>", ""),
        (400, b'{"ok":false,"error":"' + b"x" * 5_000 + b'"}', ""),
    ],
)
def test_failure_keeps_its_error_alone(status: int, body: bytes, error: str) -> None:
    """Of a failure the error's code is read if it has the form of one; the status says the rest."""
    assert read_fields(status, body) == {"ok": False, "error": error}


@pytest.mark.parametrize("ts", [None, 5.1, "", "5", "now", "1.2.3", "５.1", "5.1\n", "9" * 5_000 + ".1"])
def test_ts_of_another_form_is_unreadable(ts: object) -> None:
    """No ts is committed that Slack cannot have given."""
    with pytest.raises(AnswerUnreadable):
        read(Posted, {"ts": ts})


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        (PostedDirectly, {"ts": "5.1", "channel": "D1:x"}),
        (Upload, {"upload_url": 5, "file_id": "F1"}),
        (Upload, {"upload_url": "https://a", "file_id": "F:1"}),
        (Socket, {"url": "file:///etc/passwd"}),
        (Account, {"team_id": "T1"}),
        (Account, {"team_id": ["T1"], "user_id": "U1"}),
    ],
)
def test_results_of_another_form_are_unreadable(model: type[Posted], fields: dict[str, object]) -> None:
    """Each result is read as its method documents it, or not at all."""
    with pytest.raises(AnswerUnreadable):
        read(model, fields)
