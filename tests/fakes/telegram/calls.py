"""The methods of the Bot API that a chatbot calls, and their effects on the world."""

import re
from collections.abc import Mapping
from itertools import count
from typing import Any

from tests.fakes.telegram.clock import FakeClock
from tests.fakes.telegram.journal import Journal
from tests.fakes.telegram.world import Account, Chat, Json, Refused, Webhook, units

LIMIT = 4096
DELETABLE = 2 * 86_400
SAME = (
    "Bad Request: message is not modified: specified new message content and reply markup are exactly the same as a "
    "current content and reply markup of the message"
)
SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")
COMMAND = re.compile(r"[a-z0-9_]{1,32}")


class Calls:
    """One bot's calls. Each method returns the result or raises Refused."""

    def __init__(self, account: Account, clock: FakeClock, journal: Journal) -> None:
        self._account = account
        self._clock = clock
        self._journal = journal
        self._files = count(1)

    def get_me(self, _: Json) -> Json:
        return self._account.me

    def set_webhook(self, given: Json) -> bool:
        if given.get("drop_pending_updates"):
            self._account.pending.clear()
        if (secret := given.get("secret_token", "")) and not SECRET.fullmatch(secret):
            raise Refused(400, "Bad Request: secret token contains unallowed characters")
        if "allowed_updates" in given:
            self._account.allowed = set(given["allowed_updates"])
        self._account.webhook = Webhook(url=given["url"], secret=secret) if given.get("url") else None
        self._write("webhook", url=given.get("url", ""))
        return True

    def delete_webhook(self, given: Json) -> bool:
        return self.set_webhook({**given, "url": ""})

    def get_webhook_info(self, _: Json) -> Json:
        url = self._account.webhook.url if self._account.webhook else ""
        return {"url": url, "has_custom_certificate": False, "pending_update_count": len(self._account.pending)}

    def set_my_commands(self, given: Json) -> bool:
        for command in given["commands"]:
            if not COMMAND.fullmatch(command["command"]) or not 1 <= len(command["description"]) <= 256:
                raise Refused(400, "Bad Request: BOT_COMMAND_INVALID")
        self._account.commands[given.get("language_code", "")] = given["commands"]
        self._write("commands", language=given.get("language_code", ""), commands=given["commands"])
        return True

    def get_my_description(self, given: Json) -> Json:
        return {"description": _in_language(self._account.descriptions, given)}

    def set_my_description(self, given: Json) -> bool:
        self._describe(self._account.descriptions, given, "description", 512)
        return True

    def get_my_short_description(self, given: Json) -> Json:
        return {"short_description": _in_language(self._account.short_descriptions, given)}

    def set_my_short_description(self, given: Json) -> bool:
        self._describe(self._account.short_descriptions, given, "short_description", 120)
        return True

    def _describe(self, kept: dict[str, str], given: Json, field: str, limit: int) -> None:
        if len(given.get(field, "")) > limit:
            raise Refused(400, "Bad Request: description is too long")
        kept[given.get("language_code", "")] = given.get(field, "")
        self._write(field, language=given.get("language_code", ""), text=given.get(field, ""))

    def answer_callback_query(self, given: Json) -> bool:
        if given["callback_query_id"] not in self._account.queries:
            raise Refused(400, "Bad Request: query is too old and response timeout expired or query ID is invalid")
        self._account.queries.discard(given["callback_query_id"])
        self._write("answer", query=given["callback_query_id"], text=given.get("text", ""))
        return True

    def send_chat_action(self, given: Json) -> bool:
        chat = self._account.chat(int(given["chat_id"]))
        self._write("action", chat=chat.id, action=given["action"])
        return True

    def send_message_draft(self, given: Json) -> bool:
        chat = self._account.chat(int(given["chat_id"]))
        if not chat.is_private or not int(given["draft_id"]):
            raise Refused(400, "Bad Request: a draft needs a private chat and an id")
        if units(given.get("text", "")) > LIMIT:
            raise Refused(400, "Bad Request: message is too long")
        self._write("draft", chat=chat.id, draft=int(given["draft_id"]), text=given.get("text", ""))
        return True

    def send_message(self, given: Json) -> Json:
        chat = self._account.chat(int(given["chat_id"]))
        content = _content(given) | self._place(chat, given)
        message = chat.add({"from": self._account.user, "date": int(self._clock.now()), **content})
        silent = bool(given.get("disable_notification"))
        self._write("send", chat=chat.id, message=message["message_id"], silent=silent, **_shown(given, message))
        return message

    def create_forum_topic(self, given: Json) -> Json:
        """Open a topic, which begins with a service message of the same id. Only administrators may."""
        chat = self._account.chat(int(given["chat_id"]))
        if not chat.facts.get("is_forum"):
            raise Refused(400, "Bad Request: the chat is not a forum")
        if not chat.may_open_topics:
            raise Refused(400, "Bad Request: not enough rights to create a topic")
        if not 1 <= len(given["name"]) <= 128:
            raise Refused(400, "Bad Request: TOPIC_TITLE_INVALID")
        created = {"name": given["name"], "icon_color": 7322096}
        opening = {"from": self._account.user, "date": int(self._clock.now()), "forum_topic_created": created}
        message = chat.add(opening)
        chat.topics.add(message["message_id"])
        self._write("topic", chat=chat.id, topic=message["message_id"], name=given["name"])
        return {"message_thread_id": message["message_id"], **created}

    def delete_message(self, given: Json) -> bool:
        """Delete a message of the bot, which Telegram allows for two days."""
        chat = self._account.chat(int(given["chat_id"]))
        message = chat.messages.get(int(given["message_id"]))
        if message is None:
            raise Refused(400, "Bad Request: message to delete not found")
        if message["from"]["id"] != self._account.id or self._clock.now() > message["date"] + DELETABLE:
            raise Refused(400, "Bad Request: message can't be deleted")
        del chat.messages[message["message_id"]]
        self._write("delete", chat=chat.id, message=message["message_id"])
        return True

    def edit_message_media(self, given: Json) -> Json:
        """Replace a message's content by a document, which is uploaded with the call and so a new one each time."""
        media = given["media"]
        name, text = given[media["media"].removeprefix("attach://")]
        document = {"file_id": f"f{next(self._files)}", "file_unique_id": "u", "file_name": name}
        caption = media.get("caption", "")
        edited = self._edit(given, {"text", "entities", "reply_markup"}, {"document": document, "caption": caption})
        self._write(
            "file", chat=edited["chat"]["id"], message=edited["message_id"], name=name, text=text, caption=caption
        )
        return edited

    def edit_message_text(self, given: Json) -> Json:
        edited = self._edit(given, {"text", "entities", "reply_markup"}, _content(given))
        self._write("edit", chat=edited["chat"]["id"], message=edited["message_id"], **_shown(given, edited))
        return edited

    def edit_message_reply_markup(self, given: Json) -> Json:
        edited = self._edit(given, {"reply_markup"}, _keyboard(given))
        faces = [button["text"] for row in edited.get("reply_markup", {}).get("inline_keyboard", []) for button in row]
        self._write("keyboard", chat=edited["chat"]["id"], message=edited["message_id"], faces=faces)
        return edited

    def _edit(self, given: Json, replaced: set[str], content: Json) -> Json:
        """The bot's message with other content in the `replaced` fields."""
        chat = self._account.chat(int(given["chat_id"]))
        message = chat.messages.get(int(given["message_id"]))
        if message is None:
            raise Refused(400, "Bad Request: message to edit not found")
        if message["from"]["id"] != self._account.id:
            raise Refused(400, "Bad Request: message can't be edited")
        edited = {name: value for name, value in message.items() if name not in replaced} | content
        if edited == {name: value for name, value in message.items() if name != "edit_date"}:
            raise Refused(400, SAME)
        chat.messages[edited["message_id"]] = edited
        return edited

    def _place(self, chat: Chat, given: Json) -> Json:
        """The fields of the topic and the replied-to message, if they exist."""
        place: Json = {}
        if thread := int(given.get("message_thread_id", 0)):
            if thread not in chat.topics:
                raise Refused(400, "Bad Request: message thread not found")
            place |= {"message_thread_id": thread, "is_topic_message": True}
        if reply := given.get("reply_parameters"):
            if int(reply["message_id"]) in chat.messages:
                place = chat.replying_to(int(reply["message_id"])) | place
            elif not reply.get("allow_sending_without_reply"):
                raise Refused(400, "Bad Request: message to be replied not found")
        return place

    def _write(self, do: str, **facts: object) -> None:
        self._journal.write(self._account.id, do, **facts)


def _in_language(kept: Mapping[str, str], given: Json) -> str:
    """What is shown to people of a language: its own text, else the one for all others."""
    return kept.get(given.get("language_code", "")) or kept.get("", "")


def _content(given: Json) -> Json:
    """The fields of the message: text, entities and keyboard. Raises Refused if they are not valid."""
    entities = given.get("entities", [])
    text = given.get("text", "").rstrip()
    if not any(entity["offset"] == 0 for entity in entities):  # Telegram keeps the indentation of code
        text = text.lstrip()
    if not text:
        raise Refused(400, "Bad Request: message text is empty")
    if units(text) > LIMIT:
        raise Refused(400, "Bad Request: message is too long")
    content: Json = {"text": text}
    if entities:
        if any(entity["length"] < 1 or entity["offset"] + entity["length"] > units(text) for entity in entities):
            raise Refused(400, "Bad Request: ENTITY_BOUNDS_INVALID")
        content["entities"] = entities
    return content | _keyboard(given)


def _keyboard(given: Json) -> Json:
    """The field of the keyboard, if there is one. Raises Refused if its data is not valid."""
    markup = given.get("reply_markup")
    buttons = [button for row in markup["inline_keyboard"] for button in row] if markup else []
    if any(not 1 <= len(button["callback_data"].encode()) <= 64 for button in buttons):
        raise Refused(400, "Bad Request: BUTTON_DATA_INVALID")
    return {"reply_markup": markup} if markup else {}


def _shown(given: Mapping[str, Any], message: Json) -> Json:
    """The journal's fields of a message."""
    buttons = [b["callback_data"] for row in message.get("reply_markup", {}).get("inline_keyboard", []) for b in row]
    return {
        "text": message["text"],
        "entities": message.get("entities", []),
        "buttons": buttons,
        "reply_to": message.get("reply_to_message", {}).get("message_id", 0),
        "thread": message["message_thread_id"] if message.get("is_topic_message") else 0,
        "preview": not given.get("link_preview_options", {}).get("is_disabled", False),
        "parse_mode": given.get("parse_mode", ""),
    }
