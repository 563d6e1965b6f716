"""Actions of people, offered to the bot as updates."""

from tests.fakes.telegram.clock import FakeClock
from tests.fakes.telegram.world import Account, Chat, Json, entities


class People:
    """Writes, edits, presses buttons, blocks and upgrades, in one bot's chats."""

    def __init__(self, account: Account, clock: FakeClock) -> None:
        self._account = account
        self._clock = clock

    def say(self, given: Json) -> Json:
        """Write a message as `person` in `chat`, by default their private one, with the fields `extra`."""
        person = _person(given["person"])
        chat = self._chat(given.get("chat") or {"id": person["id"], "type": "private", "first_name": "x"})
        message: Json = {"from": person, "date": int(given.get("date", self._clock.now()))}
        if text := given.get("text", ""):
            message |= {"text": text}
            if found := entities(text):
                message["entities"] = found
        if caption := given.get("caption", ""):
            message |= {"caption": caption, "caption_entities": entities(caption)}
        if reply_to := given.get("reply_to"):
            message |= chat.replying_to(reply_to)
        if thread := given.get("topic"):
            chat.topics.add(thread)
            if opening := chat.messages.get(thread):
                message.setdefault("reply_to_message", opening)
            message |= {"message_thread_id": thread, "is_topic_message": True}
        message = chat.add(message | given.get("extra", {}))
        if self._account.can_see(message):
            self._offer("message", message)
        return message

    def edit(self, given: Json) -> Json:
        """Put another text or caption into a message, or what is given as `extra`. Telegram also tells of edits without
        a change, of messages that the bot has seen or may see now.
        """
        chat = self._account.chats[given["chat"]]
        old = chat.messages[given["message"]]
        words = "caption" if "caption" in old else "text"
        marks = "caption_entities" if words == "caption" else "entities"
        message = {name: value for name, value in old.items() if name != marks}
        if given.get("text"):
            message |= {words: given["text"]}
        if found := entities(message.get(words, "")):
            message[marks] = found
        message |= {"edit_date": int(given.get("date", self._clock.now())), **given.get("extra", {})}
        chat.messages[given["message"]] = message
        if self._account.can_see(old) or self._account.can_see(message):
            self._offer("edited_message", message)
        return message

    def press(self, given: Json) -> Json:
        """Press a button under one of the bot's messages."""
        query = {
            "id": f"q{self._account.next_update}",
            "from": _person(given["person"]),
            "message": self._account.chats[given["chat"]].messages[given["message"]],
            "chat_instance": "1",
            "data": given["data"],
        }
        self._account.queries.add(query["id"])
        self._offer("callback_query", query)
        return query

    def rename(self, given: Json) -> Json:
        """Give the bot another user name, as its operator does with @BotFather."""
        self._account.username = given["username"]
        return {}

    def block(self, given: Json) -> Json:
        chat = self._account.chats[given["chat"]]
        chat.forbidden = given.get("why", "bot was blocked by the user")
        member = {"chat": chat.facts, "from": {"id": chat.id, "is_bot": False, "first_name": "x"}, "date": 1}
        status = {"old_chat_member": {"status": "member"}, "new_chat_member": {"status": "kicked"}}
        self._offer("my_chat_member", member | status)
        return {}

    def add_bot(self, given: Json) -> Json:
        """Add the bot to a group as `person`, or change how it belongs there: from the status `old` to `new`."""
        chat = self._chat(given["chat"])
        change: Json = {"chat": chat.facts, "from": _person(given["person"]), "date": int(self._clock.now())}
        change |= {f"{name}_chat_member": {"user": self._account.user, **given[name]} for name in ("old", "new")}
        self._offer("my_chat_member", change)
        return change

    def unblock(self, given: Json) -> Json:
        self._account.chats[given["chat"]].forbidden = ""
        return {}

    def delete(self, given: Json) -> Json:
        return self._account.chats[given["chat"]].messages.pop(given["message"])

    def migrate(self, given: Json) -> Json:
        """Upgrade a group to a supergroup: a new id, new message ids, and a service message in both."""
        old = self._account.chats[given["chat"]]
        new = self._chat({**old.facts, "id": given["to"], "type": "supergroup"})
        admin = {"id": 1, "is_bot": False, "first_name": "x"}
        last = old.add({"from": admin, "date": 1, "migrate_to_chat_id": new.id})
        old.migrated_to = new.id
        if not given.get("silently"):
            self._offer("message", last)
            self._offer("message", new.add({"from": admin, "date": 1, "migrate_from_chat_id": old.id}))
        return {}

    def privacy(self, given: Json) -> Json:
        self._account.privacy = given["on"]
        return {}

    def raw(self, given: Json) -> Json:
        """Queue an update unchanged, valid or not; it gets the next id if it has none."""
        update = {"update_id": self._account.next_update, **given["update"]}
        self._account.next_update = max(self._account.next_update, update["update_id"] + 1)
        self._account.pending.append(update)
        return update

    def _chat(self, facts: Json) -> Chat:
        if facts["id"] not in self._account.chats:
            self._account.chats[facts["id"]] = Chat(facts=facts)
        return self._account.chats[facts["id"]]

    def _offer(self, kind: str, content: Json) -> None:
        update_id = self._account.next_update
        self._account.next_update += 1
        if kind in self._account.allowed:
            self._account.pending.append({"update_id": update_id, kind: content, "_at": self._clock.now()})


def _person(given: Json | int) -> Json:
    facts = {"id": given} if isinstance(given, int) else given
    return {"is_bot": False, "first_name": "Ann", "language_code": "en", **facts}
