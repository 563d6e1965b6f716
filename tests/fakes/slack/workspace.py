"""One workspace: its messages, and the methods of the Web API that a bot calls."""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.fakes.slack.clock import Clock
from tests.fakes.slack.errors import SlackError
from tests.fakes.slack.journal import Journal, seen
from tests.fakes.slack.streams import Streams

TEAM, BOT_USER, BOT_ID, APP = "T1", "UBOT", "BBOT", "A1"
BOT_TOKEN, APP_TOKEN, SIGNING_SECRET = "xoxb-fake", "xapp-fake", "fake-signing-secret"
CHANNELS = ("C1", "C2", "D1", "D2")
DIRECT = {"U1": "D1", "U2": "D2"}
"""The direct messages of each user with the bot."""
MAX_TEXT, MAX_UPDATE, MAX_MARKDOWN = 40_000, 4_000, 12_000
RESPONSES, RESPONSE_SECONDS = 5, 1_800
FIELDS = ("text", "markdown_text", "blocks", "metadata")


class Workspace:
    """`emit` is called with each event that the app is subscribed to."""

    def __init__(self, journal: Journal, clock: Clock, emit: Callable[[dict[str, Any]], None]) -> None:
        self.journal = journal
        self.clock = clock
        self.emit = emit
        self.messages: dict[tuple[str, str], dict[str, Any]] = {}
        self.streams = Streams(clock)
        self.calls: Counter[str] = Counter()
        self.rejected_blocks: set[str] = set()
        self.longest, self.too_long = MAX_MARKDOWN, "msg_blocks_too_long"
        self.responses: dict[str, tuple[float, int]] = {}
        self.outsiders: set[str] = set()
        self.unreachable: set[str] = set()
        self.files: dict[str, str] = {}
        self.upload_url = ""
        self.locales: dict[str, str] | None = None
        self.methods: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "auth.test": lambda _: {"team_id": TEAM, "user_id": BOT_USER, "bot_id": BOT_ID},
            "chat.postMessage": self._post,
            "chat.postEphemeral": self._whisper,
            "chat.update": self._update,
            "chat.delete": self._delete,
            "chat.startStream": self._start_stream,
            "chat.appendStream": self._append_to_stream,
            "chat.stopStream": self._stop_stream,
            "conversations.replies": self._replies,
            "agents.sessions.setStatus": lambda params: self._noted("session", params),
            "files.getUploadURLExternal": self._upload,
            "files.completeUploadExternal": self._share,
            "assistant.threads.setSuggestedPrompts": self._prompts,
            "users.info": self._user,
            "reactions.add": lambda params: self._noted("reaction", params),
        }

    def call(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        if method not in self.methods:
            raise SlackError("unknown_method")
        return self.methods[method](params)

    def say(self, channel: str, user: str, text: str, **extra: Any) -> dict[str, Any]:  # noqa: ANN401
        """Write a message as a user. A mention emits two events with different ids."""
        ts = self.clock.stamp()
        event = {"channel": channel, "user": user, "text": text, "ts": ts, "event_ts": ts, "client_msg_id": f"m-{ts}"}
        event |= {"team": TEAM} | extra
        self.messages[channel, ts] = dict(event)
        self.journal.write(
            "said", **{key: event.get(key, "") for key in ("channel", "user", "text", "ts", "thread_ts")}
        )
        if f"<@{BOT_USER}>" in text and not channel.startswith("D"):
            self.emit({"type": "app_mention"} | event)
        self.emit({"type": "message", "channel_type": "im" if channel.startswith("D") else "channel"} | event)
        return event

    def change(self, channel: str, ts: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401
        """Change a user's message: as its author, who marks it as edited, or as Slack, which adds previews of links."""
        before = self.messages[channel, ts]
        edited = {"edited": {"user": before["user"], "ts": self.clock.stamp()}} if "text" in fields else {}
        message = self.messages[channel, ts] = before | edited | fields
        kept = {name: value for name, value in message.items() if name not in {"channel", "event_ts"}}
        place = {"channel": channel, "channel_type": "im" if channel.startswith("D") else "channel"}
        stamp = self.clock.stamp()
        told = {"subtype": "message_changed", "hidden": True, "ts": stamp, "event_ts": stamp, **place}
        self.emit({"type": "message", **told, "message": {"type": "message"} | kept, "previous_message": before})
        if f"<@{BOT_USER}>" in message["text"] and not channel.startswith("D"):
            self.emit({"type": "app_mention"} | message | {"channel": channel})
        return message

    def respond(self, name: str, fields: dict[str, Any]) -> bool:
        """Use a response URL. It works five times and for half an hour."""
        until, left = self.responses.get(name, (0.0, 0))
        if not left or self.clock.now > until:
            return False
        self.responses[name] = until, left - 1
        self.journal.write("response", url=name, response_type=fields.get("response_type"), **seen(fields))
        return True

    def _post(self, params: dict[str, Any]) -> dict[str, Any]:
        """Post a message. A user's id as the channel stands for their direct messages."""
        if params["channel"] in self.unreachable:
            raise SlackError("messages_tab_disabled")
        params |= {"channel": DIRECT.get(params["channel"], params["channel"])}
        self._check(params)
        return self._add(params)

    def _whisper(self, params: dict[str, Any]) -> dict[str, Any]:
        """Show a message to one user. It emits no event, and a thread without replies does not show it."""
        self._check(params)
        channel, user, thread = params["channel"], params["user"], params.get("thread_ts", "")
        if user in self.outsiders:
            raise SlackError("user_not_in_channel")
        replies = [one for (where, _), one in self.messages.items() if where == channel and one.get("thread_ts")]
        ts = self.clock.stamp()
        if not thread or thread in {reply["thread_ts"] for reply in replies}:
            self.journal.write("whispered", channel=channel, user=user, thread_ts=thread, ts=ts, **seen(params))
        return {"message_ts": ts}

    def _upload(self, params: dict[str, Any]) -> dict[str, Any]:
        assert params["filename"]
        file = f"F{len(self.files) + 1}"
        self.files[file] = ""
        return {"file_id": file, "upload_url": f"{self.upload_url}/{file}"}

    def _share(self, params: dict[str, Any]) -> dict[str, Any]:
        """Share an uploaded file in a channel, each time anew. A user's id is no channel here."""
        (file,) = json.loads(params["files"])
        channel, thread = params["channel_id"], params.get("thread_ts", "")
        if channel not in CHANNELS:
            raise SlackError("channel_not_found")
        ts = self.clock.stamp()
        message = {"type": "message", "user": BOT_USER, "text": "", "ts": ts, "thread_ts": thread, "files": [file]}
        self.messages[channel, ts] = message
        self.journal.write("shared", channel=channel, thread_ts=thread, name=file["title"], text=self.files[file["id"]])
        return {"files": [file]}

    def _add(self, params: dict[str, Any]) -> dict[str, Any]:
        ts, channel = self.clock.stamp(), params["channel"]
        message = {"type": "message", "user": BOT_USER, "bot_id": BOT_ID, "app_id": APP, "ts": ts} | {
            key: params[key] for key in (*FIELDS, "thread_ts", "unfurl_links", "unfurl_media") if key in params
        }
        self.messages[channel, ts] = message
        self._show("posted", channel, ts)
        self.emit(message | {"channel": channel, "event_ts": ts, "channel_type": "channel"})
        return {"channel": channel, "ts": ts}

    def _update(self, params: dict[str, Any]) -> dict[str, Any]:
        self._check(params)
        channel, ts = self._found(params)
        if self.streams.is_open(channel, ts):
            raise SlackError("streaming_state_conflict")
        if len(params.get("text", "")) > MAX_UPDATE:
            raise SlackError("msg_too_long")
        kept = {key: value for key, value in self.messages[channel, ts].items() if key not in ("text", "markdown_text")}
        self.messages[channel, ts] = kept | {key: params[key] for key in FIELDS if key in params}
        return self._changed("edited", channel, ts)

    def _delete(self, params: dict[str, Any]) -> dict[str, Any]:
        channel, ts = self._found(params)
        if self.streams.is_open(channel, ts):
            raise SlackError("cant_delete_message")
        del self.messages[channel, ts]
        self.journal.write("deleted", channel=channel, ts=ts)
        self._tell(channel, subtype="message_deleted", deleted_ts=ts)
        return {"channel": channel, "ts": ts}

    def _start_stream(self, params: dict[str, Any]) -> dict[str, Any]:
        """A stream may start with an empty text. It accepts neither unfurl options nor metadata."""
        for needed in ("recipient_team_id", "recipient_user_id"):
            if not params.get(needed):
                raise SlackError(f"missing_{needed}")
        if params["channel"] not in CHANNELS:
            raise SlackError("channel_not_found")
        names = ("channel", "thread_ts", "markdown_text")
        added = self._add({name: params[name] for name in names if name in params})
        self.streams.begin(added["channel"], added["ts"])
        return added

    def _append_to_stream(self, params: dict[str, Any]) -> dict[str, Any]:
        channel, ts = self._found(params)
        self.streams.append(channel, ts, text := params.get("markdown_text", ""))
        message = self.messages[channel, ts]
        message["markdown_text"] = message.get("markdown_text", "") + text
        return self._changed("appended", channel, ts)

    def _stop_stream(self, params: dict[str, Any]) -> dict[str, Any]:
        channel, ts = self._found(params)
        self.streams.stop(channel, ts)
        return self._changed("stopped", channel, ts)

    def _found(self, params: dict[str, Any]) -> tuple[str, str]:
        channel, ts = params["channel"], params["ts"]
        if (channel, ts) not in self.messages:
            raise SlackError("message_not_found")
        return channel, ts

    def _changed(self, what: str, channel: str, ts: str) -> dict[str, Any]:
        self._show(what, channel, ts)
        self._tell(channel, subtype="message_changed", message=self.messages[channel, ts])
        return {"channel": channel, "ts": ts}

    def _tell(self, channel: str, **what: Any) -> None:  # noqa: ANN401
        stamp = self.clock.stamp()
        self.emit({"type": "message", "hidden": True, "channel": channel, "ts": stamp, "event_ts": stamp} | what)

    def _show(self, what: str, channel: str, ts: str) -> None:
        """Write the message to the journal, with the unfurl options of its post."""
        message = self.messages[channel, ts]
        about = (message.get("metadata") or {}).get("event_payload")
        place = {"channel": channel, "ts": ts, "thread_ts": message.get("thread_ts", "")}
        self.journal.write(what, **place, about=about, **seen(message))

    def _check(self, params: dict[str, Any]) -> None:
        if params["channel"] not in CHANNELS:
            raise SlackError("channel_not_found")
        markdown, blocks = params.get("markdown_text"), params.get("blocks") or []
        if markdown and (params.get("text") or blocks):
            raise SlackError("markdown_text_conflict")
        if not (markdown or params.get("text") or blocks):
            raise SlackError("no_text")
        if self.rejected_blocks & {block["type"] for block in blocks}:
            raise SlackError("invalid_blocks")
        if len(markdown or "") > MAX_MARKDOWN or len(params.get("text", "")) > MAX_TEXT:
            raise SlackError("msg_too_long")
        if sum(len(block["text"]) for block in blocks if block["type"] == "markdown") > self.longest:
            raise SlackError(self.too_long)

    def _replies(self, params: dict[str, Any]) -> dict[str, Any]:
        root, oldest = params["ts"], float(params.get("oldest") or 0)
        found = [
            {key: value for key, value in message.items() if key != "metadata" or params.get("include_all_metadata")}
            for (channel, ts), message in self.messages.items()
            if channel == params["channel"] and root in (ts, message.get("thread_ts")) and float(ts) >= oldest
        ]
        return {"messages": found[: int(params.get("limit") or 100)], "has_more": False}

    def _user(self, params: dict[str, Any]) -> dict[str, Any]:
        """A user, with the language that they have set. Without `locales` the app has no scope for it."""
        if self.locales is None:
            raise SlackError("missing_scope")
        told = {"locale": self.locales.get(params["user"], "en-US")} if params.get("include_locale") else {}
        return {"user": {"id": params["user"], **told}}

    def _prompts(self, params: dict[str, Any]) -> dict[str, Any]:
        if len(params["prompts"]) > 4:
            raise SlackError("too_many_prompts")
        return self._noted("prompts", params)

    def _noted(self, what: str, params: dict[str, Any]) -> dict[str, Any]:
        self.journal.write(what, **params)
        return {}
