"""Two platforms on one store: a customer on the one, operators on the other or on the same."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias
from uuid import uuid4

from pydantic import SecretStr

from bots.app import giving_back
from bots.fronts import Deliveries
from bots.slack.adapter import open_slack
from bots.telegram.adapter import open_telegram
from config.settings import SlackSettings, TelegramSettings
from core.admission import Admission
from core.chat import chatbot
from core.clock import Clock
from core.engine.scripted import ScriptedEngine
from core.handoff import offering
from core.help_desk import HelpDesk
from core.limits import Limits
from core.messages import ConversationKey
from core.prompt import Persona
from core.stages.cache import AnswerCache
from core.stages.knowledge import Expertise
from core.stages.mood import MoodReader
from core.store import Store, open_store
from core.worker import Worker, working
from tests.bots.telegram.conftest import QUICK, FastClock
from tests.fakes.slack.client import FakeSlack
from tests.fakes.slack.workspace import APP_TOKEN, BOT_TOKEN, TEAM
from tests.fakes.telegram.clock import EPOCH
from tests.fakes.telegram.control import Account, shown
from tests.options import chat_with, unthrottled_with, worker_with

Platform: TypeAlias = Literal["telegram", "slack"]
GROUP = -500
ANN, BOB, CUE = 21, 22, 5
"""Two operators and a customer on Telegram."""
SLACK_IDS = {ANN: "U7", BOB: "U8", CUE: "U1"}
CUSTOMERS_CHAT: Mapping[Platform, str] = {"telegram": str(CUE), "slack": "D1"}
PERSONA = Persona(name="test", system={"en": "You are a test.", "zh": "你是测试。"})
ALLOWED = frozenset({"telegram:*", "slack:*"})


def desk_of(platform: Platform, account_id: int) -> HelpDesk:
    if platform == "telegram":
        place = ConversationKey(platform=platform, workspace=str(account_id), chat=str(GROUP))
        return HelpDesk(place=place, operators=frozenset({f"telegram:{ANN}", f"telegram:{BOB}"}), timeout=600.0)
    place = ConversationKey(platform=platform, workspace=TEAM, chat="C2")
    return HelpDesk(place=place, operators=frozenset({"slack:U7", "slack:U8"}), timeout=600.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A message of the bot: its `id` on the platform, and the data of its buttons."""

    id: str
    text: str
    thread: str = ""
    buttons: tuple[str, ...] = ()


class Side(ABC):
    """What people do on a platform, and what they see there."""

    @abstractmethod
    async def say(self, person: int, text: str, *, thread: str = "") -> str:
        """Write to the bot in private; or at the desk, in a thread. Returns the message's id."""

    @abstractmethod
    async def edit(self, message: str, text: str, *, at_desk: bool) -> None: ...

    @abstractmethod
    async def press(self, person: int, message: Shown, name: str) -> None:
        """Press the button of this name at the desk, or in private."""

    @abstractmethod
    async def seen(self, *, at_desk: bool) -> list[Shown]:
        """The bot's messages of the customer's chat, or at the desk, as they are now."""

    async def until(self, holds: Callable[[list[Shown]], object], *, at_desk: bool) -> list[Shown]:
        async with asyncio.timeout(15):
            while not holds(found := await self.seen(at_desk=at_desk)):
                await asyncio.sleep(0.02)
        return found

    async def until_shown(self, text: str, *, at_desk: bool) -> Shown:
        """Wait until a whole message with this text at its beginning is shown."""

        def is_it(one: Shown) -> bool:
            return one.text.startswith(text) and not one.text.endswith(" …")

        try:
            found = await self.until(lambda all_: any(map(is_it, all_)), at_desk=at_desk)
            return next(filter(is_it, found))
        except TimeoutError:
            raise AssertionError((text, await self.seen(at_desk=at_desk))) from None


class OnTelegram(Side):
    def __init__(self, account: Account, *, forum: bool = True) -> None:
        self.account = account
        self._group = {"id": GROUP, "type": "supergroup", "title": "g"} | ({"is_forum": True} if forum else {})
        self._forum = forum

    async def prepare(self) -> None:
        await self.account.hears_all()
        await self.account.say("good morning", person=ANN, chat=self._group)  # for none of the customers

    async def say(self, person: int, text: str, *, thread: str = "") -> str:
        if not thread:
            return str((await self.account.say(text, person=person))["message_id"])
        where = {"topic": int(thread)} if self._forum else {"reply_to": int(thread)}
        return str((await self.account.say(text, person=person, chat=self._group, **where))["message_id"])

    async def edit(self, message: str, text: str, *, at_desk: bool) -> None:
        await self.account.edit(GROUP if at_desk else CUE, int(message), text)

    async def press(self, person: int, message: Shown, name: str) -> None:
        data = next(data for data in message.buttons if data.startswith(f"fb:{name}:"))
        chat = GROUP if message.thread else CUE
        await self.account.press(chat, int(message.id), data, person=person)

    async def seen(self, *, at_desk: bool) -> list[Shown]:
        chat = GROUP if at_desk else CUE
        journal = await self.account.journal()
        now = {entry["message"]: entry for entry in shown(journal, chat)}
        gone = {entry["message"] for entry in journal if entry["do"] == "delete" and entry["chat"] == chat}
        return [
            Shown(
                id=str(id_),
                text=entry["text"],
                thread=str(entry["thread"] or entry["reply_to"] or id_) if at_desk else "",
                buttons=tuple(entry["buttons"]),
            )
            for id_, entry in now.items()
            if id_ not in gone
        ]


class OnSlack(Side):
    def __init__(self, slack: FakeSlack) -> None:
        self.slack = slack

    async def say(self, person: int, text: str, *, thread: str = "") -> str:
        if not thread:
            return await self.slack.say(text, user=SLACK_IDS[person], channel="D1")
        return await self.slack.say(text, user=SLACK_IDS[person], channel="C2", thread_ts=thread)

    async def edit(self, message: str, text: str, *, at_desk: bool) -> None:
        await self.slack.change(message, channel="C2" if at_desk else "D1", text=text)

    async def press(self, person: int, message: Shown, name: str) -> None:
        value = next(button.partition(" ")[2] for button in message.buttons if button.startswith(f"{name} "))
        channel = "C2" if message.thread else "D1"
        await self.slack.pull("click", channel=channel, ts=message.id, user=SLACK_IDS[person], action=name, value=value)

    async def seen(self, *, at_desk: bool) -> list[Shown]:
        state = await self.slack.state()
        return [
            Shown(
                id=bubble["ts"],
                text=bubble["text"],
                thread=bubble["thread_ts"] or bubble["ts"] if at_desk else "",
                buttons=tuple(f"{button['action']} {button['value']}" for button in bubble["buttons"]),
            )
            for bubble in state.bubbles("C2" if at_desk else "D1")
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """A bot on both platforms, its customer's side and its operators' side."""

    customer: Side
    operators: Side
    store: Store
    admission: Admission
    desk: HelpDesk
    engine: ScriptedEngine
    clock: Clock

    async def handed_over(self, words: str = "a person please") -> Shown:
        """The message with the button to take over, once the customer has asked for a person."""
        await self.customer.say(CUE, words)
        await self.customer.until_shown("I have asked a person", at_desk=False)
        found = await self.operators.until(lambda all_: [one for one in all_ if one.buttons], at_desk=True)
        return next(one for one in reversed(found) if one.buttons)

    async def taken(self) -> str:
        """The thread of a conversation that Ann has taken over."""
        summary = await self.handed_over()
        thread = summary.thread
        await self.operators.press(ANN, summary, "take")
        await self.customer.until_shown("You are talking with a person now", at_desk=False)
        return thread


async def now_on_slack(slack: FakeSlack) -> None:
    """Set the fake Slack's clock to the time of the bot, which says again what is not acknowledged."""
    await slack.pull("advance", seconds=FastClock().now() - EPOCH)
    await slack.pull("insist", seconds=0.2)


@asynccontextmanager
async def open_house(  # noqa: PLR0913  one parameter for each part that a test replaces
    account: Account,
    slack: FakeSlack,
    customer: Platform,
    operators: Platform,
    *,
    database: str = "sqlite://",
    engine: ScriptedEngine | None = None,
    forum: bool = True,
    change_desk: Callable[[HelpDesk], HelpDesk] = lambda desk: desk,
    expertise: Expertise | None = None,
    **limits: object,
) -> AsyncIterator[House]:
    clock = FastClock()
    model = engine or ScriptedEngine.replying(lambda prompt: f"I heard: {prompt[-1].content}")
    desk = change_desk(desk_of(operators, account.id))
    allowed: Limits = unthrottled_with(max_queued=1_000, max_wait=1e6, allow=ALLOWED, help_desk=desk)
    allowed = replace(allowed, **limits)  # type: ignore[arg-type]
    sides = {"telegram": OnTelegram(account, forum=forum), "slack": OnSlack(slack)}
    await sides["telegram"].prepare()  # type: ignore[attr-defined]
    await now_on_slack(slack)
    by_polling = TelegramSettings.model_validate({"token": account.token, "base_url": account.base_url})
    async with AsyncExitStack() as stack:
        telegram = await stack.enter_async_context(open_telegram(by_polling, clock, QUICK))
        by_socket = SlackSettings(
            bot_token=SecretStr(BOT_TOKEN), app_token=SecretStr(APP_TOKEN), base_url=f"{slack.url}/api"
        )
        on_slack = await stack.enter_async_context(open_slack(by_socket, clock, shared_history=False))
        store = await stack.enter_async_context(open_store(database))
        fronts = Deliveries([telegram, on_slack])
        answers = AnswerCache(size=16, ttl=60, timer=clock.monotonic)
        chosen = chat_with(persona=PERSONA, show_mood="never", help_desk=desk)
        handler = chatbot(store, model, MoodReader(model), answers, clock, chosen, expertise=expertise)
        worker = Worker(store, handler, fronts, clock, worker_with(owner=uuid4().hex, slots=2), finish=offering.finish)
        admission = Admission(store, clock, allowed, worker)
        await stack.enter_async_context(working(worker, grace=0))
        await stack.enter_async_context(giving_back(store, clock, desk, worker))
        running = [asyncio.create_task(front.run(admission)) for front in (telegram, on_slack)]
        try:
            await slack.until(lambda state: state.sockets > 0)
            yield House(
                customer=sides[customer],
                operators=sides[operators],
                store=store,
                admission=admission,
                desk=desk,
                engine=model,
                clock=clock,
            )
        finally:
            for task in running:
                task.cancel()
            await asyncio.wait(running)
