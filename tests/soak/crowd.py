"""Many people who write to the bot on both platforms. What they do follows from a seed, if the bot keeps pace."""

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from tests.fakes.slack.client import FakeSlack
from tests.fakes.telegram.control import Account
from tests.soak.verdict import Place, Said

PEOPLE, FORGETFUL, ROOMS = 40, 4, 4
"""On each platform; the forgetful, of Telegram, are the last of them, and write in no group."""
DIRECTS, CHANNELS = ("D1", "D2"), ("C1", "C2")
FIRST_PERSON, FIRST_ROOM = 510_000_001, -520_000_001
FORGETTERS = frozenset(str(FIRST_PERSON + person) for person in range(PEOPLE - FORGETFUL, PEOPLE))
COMMANDS = ("/help", "/mood", "/reset", "/start", "/lang zh", "/lang en", "/export")
TALK = (
    "Good morning! Did you sleep well?",
    "I had a wonderful day at the sea with my sister.",
    "My dog is ill and I am so sad today.",
    "What do you think about old trains?",
    "你好，今天天气怎么样？",
    "我今天考试没考好，心里很难过。",
    "谢谢你，我现在开心多了！",
    "给我讲一个关于大海的故事吧。",
)
LONGEST = 40
"""Sentences of a long message. Of one over 2,048 characters the bot takes the person's next one for the rest."""
DEEDS = {
    "ask": 50,
    "ask in a group": 18,
    "ask at length": 5,
    "edit": 6,
    "press": 10,
    "stop": 4,
    "command": 5,
    "forget": 2,
}


class Tail:
    """The lines that a journal on disk has got since the last look."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        with self._path.open("rb") as file:
            file.seek(self._read)
            whole, end, _ = file.read().rpartition(b"\n")
        self._read += len(whole + end)
        return map(json.loads, whole.splitlines())


@dataclass(slots=True, kw_only=True)
class Crowd:
    """`shown` are the bot's messages as people see them now, `said` those of the people, `words` what they said."""

    chance: Random
    telegram: Account
    slack: FakeSlack
    telegram_journal: Tail
    slack_journal: Tail
    said: list[Said] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    shown: dict[Place, str] = field(default_factory=dict)
    done: dict[str, int] = field(default_factory=dict)
    _buttons: deque[tuple[Place, Any]] = field(default_factory=lambda: deque(maxlen=50))

    async def act(self) -> None:
        """Let somebody do something."""
        (deed,) = self.chance.choices(tuple(DEEDS), tuple(DEEDS.values()))
        self.done[deed] = self.done.get(deed, 0) + 1
        self.look()
        match deed:
            case "edit":
                await self._edit()
            case "press":
                await self._press()
            case "forget":
                await self._say_on_telegram("/forget", PEOPLE - 1 - self.chance.randrange(FORGETFUL))
            case "stop" | "command":
                text = "/stop" if deed == "stop" else self.chance.choice(COMMANDS)
                await self._say_on_telegram(text, self.chance.randrange(PEOPLE), overtakes=deed == "stop")
            case _:
                await self._ask(in_group=deed == "ask in a group", at_length=deed == "ask at length")

    def look(self) -> None:
        """Read what the bot has shown since."""
        for entry in self.telegram_journal:
            place = ("telegram", str(entry.get("chat")), str(entry.get("message")))
            if entry["do"] in {"send", "edit"}:
                self._see(place, entry["text"], entry["buttons"])
            elif entry["do"] == "file":
                self.shown[place] = entry["name"]
            elif entry["do"] == "delete":
                self.shown.pop(place, None)
        for entry in self.slack_journal:
            place = ("slack", str(entry.get("channel")), str(entry.get("ts")))
            if entry["what"] in {"posted", "appended", "edited"}:
                self._see(place, entry["text"], entry["buttons"])
            elif entry["what"] == "deleted":
                self.shown.pop(place, None)

    def _see(self, place: Place, text: str, buttons: list[Any]) -> None:
        self.shown[place] = text
        self._buttons += [(place, button) for button in buttons]

    async def _ask(self, *, in_group: bool, at_length: bool) -> None:
        person, text = self.chance.randrange(PEOPLE), self._words(self.chance.randint(20, LONGEST) if at_length else 1)
        if self.chance.random() < 0.5:
            await self._say_on_slack(text, person, in_group=in_group)
        else:
            await self._say_on_telegram(text, person, in_group=in_group)

    def _words(self, sentences: int) -> str:
        """What nobody has said before."""
        return " ".join([*self.chance.choices(TALK, k=sentences), f"zq{self.chance.getrandbits(40):x}"])

    async def _say_on_telegram(
        self, text: str, person: int, *, in_group: bool = False, overtakes: bool = False
    ) -> None:
        speaker = {"id": FIRST_PERSON + person, "language_code": ("en", "zh")[person % 2]}
        given: dict[str, object] = {}
        if in_group and person < PEOPLE - FORGETFUL:
            given["chat"] = {"id": FIRST_ROOM - self.chance.randrange(ROOMS), "type": "group", "title": "g"}
            text = f"@{self.telegram.username} {text}"
        message = await self.telegram.say(text, person=speaker, **given)
        place = ("telegram", str(message["chat"]["id"]), str(message["message_id"]))
        self._note(Said(place=place, person=str(speaker["id"]), overtakes=overtakes), text)

    async def _say_on_slack(self, text: str, person: int, *, in_group: bool) -> None:
        user = f"USOAKER{person:03}"
        if in_group:
            channel = self.chance.choice(CHANNELS)
            ts = await self.slack.mention(text, channel=channel, user=user)
        else:
            channel = DIRECTS[person % 2]
            ts = await self.slack.say(text, channel=channel, user=user)
        self._note(Said(place=("slack", channel, ts), person=user), text)

    def _note(self, said: Said, text: str) -> None:
        self.said.append(said)
        self.words.append(text)

    async def _edit(self) -> None:
        """Change one of the last messages, which may be answered by now."""
        recent = [one for one in self.said[-8:] if one.place[0] == "telegram"]
        if recent:
            one, text = self.chance.choice(recent), self._words(1)
            chat, message = int(one.place[1]), int(one.place[2])
            addressed = f"@{self.telegram.username} {text}" if chat < 0 else text
            await self.telegram.edit(chat, message, addressed)
            self.words.append(text)

    async def _press(self) -> None:
        """Press one of the last buttons. In a private chat it is its person who does, elsewhere anybody."""
        if not self._buttons:
            return
        (platform, chat, message), button = self.chance.choice(self._buttons)
        anybody = self.chance.randrange(PEOPLE - FORGETFUL)
        if (platform, chat, message) not in self.shown:
            return
        if platform == "telegram":
            person = int(chat) if int(chat) > 0 else FIRST_PERSON + anybody
            await self.telegram.press(int(chat), int(message), button, person=person)
        else:
            who = {"channel": chat, "ts": message, "user": f"USOAKER{anybody:03}"}
            await self.slack.pull("click", **who, action=button["action"], value=button["value"])
