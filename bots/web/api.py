"""The HTTP interface: JSON for programs and for the page. `/api/docs` shows it, made from this file."""

import math
from collections.abc import AsyncGenerator, Collection
from typing import Annotated, Literal

from fastapi import APIRouter, Cookie, Depends, FastAPI, Header, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse
from fastapi.telemetry import TelemetryConfig
from pydantic import BaseModel, Field

from bots.web.buttons import BUTTONS
from bots.web.conversations import Conversations, Following
from bots.web.live import Replied
from bots.web.principals import Principals
from bots.web.streams import EventStream, Sent
from bots.web.views import ReplyView, Transcript, event_view, reply_view, shown_view, turn_view
from bots.web.visitors import COOKIE
from core.buttons import Receipt
from core.clock import Clock
from core.commands import FORGET
from core.errors import StoreError
from core.language import locale_of_tag
from core.messages import Person
from core.serving.callers import bearer

PATH = "/api"
NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
"""FastAPI by itself would trace each request if the process has OpenTelemetry, and log what was sent."""
TOO_MANY = 429
WAIT_SECONDS = 120.0
"""A request that waits for its answer in one piece waits no longer; the answer comes all the same."""
MAX_TEXT = 100_000
"""Characters of a message. The bot's own limit is `limits.max_bytes`, and its refusal says so."""
LAST_TURN = 2**63 - 1
USER = r"^[\w.@+-]{0,64}$"


class Question(BaseModel):
    """A message to the bot."""

    text: str = Field(min_length=1, max_length=MAX_TEXT, examples=["Do you ship to Norway?"])


class Answer(BaseModel):
    """The reply to a message. `turn` is null if nothing is stored of it, and `reply` if there is none yet."""

    turn: int | None
    reply: ReplyView | None


class Vote(BaseModel):
    """What somebody thinks of an answer."""

    turn: int = Field(ge=1, le=LAST_TURN)
    vote: Literal["up", "down"]


class Pressed(BaseModel):
    """A button below a reply, or "stop" while it is being written."""

    turn: int = Field(ge=1, le=LAST_TURN)
    button: str = Field(examples=["again", "stop"])


class Notice(BaseModel):
    """What a button has done, in words. `error` is the kind of a refusal, and `vote` the vote that stands now."""

    notice: str = ""
    error: str = ""
    vote: int = 0


class Later(Exception):
    """A program is told to wait. The `body` of the response says why."""

    def __init__(self, body: BaseModel, retry_after: float) -> None:
        super().__init__(f"retry after {retry_after:.0f} s")
        self.body = body
        self.retry_after = retry_after


async def _sender(
    request: Request,
    _authorization: Annotated[
        str, Header(alias="Authorization", description="Bearer, and a key of `parley key add`.")
    ] = "",
    parley_user: Annotated[str, Header(pattern=USER, description="Who asks, in the program's own names.")] = "",
    accept_language: Annotated[str, Header(include_in_schema=False)] = "",
    cookie: Annotated[str, Cookie(alias=COOKIE, include_in_schema=False)] = "",
) -> Person:
    locale = locale_of_tag(accept_language.partition(",")[0].partition(";")[0].strip())
    principals: Principals = request.app.state.principals
    person = await principals.identify(bearer(request), parley_user, cookie, locale)
    if person is None:
        raise HTTPException(401, "a key or the page's cookie is needed", {"WWW-Authenticate": "Bearer"})
    return person


def _here(request: Request) -> Conversations:
    conversations: Conversations = request.app.state.conversations
    return conversations


def _clock(request: Request) -> Clock:
    clock: Clock = request.app.state.clock
    return clock


def _manner(
    prefer: Annotated[str, Header(description="respond-async: do not wait for the reply.")] = "",
    accept: Annotated[str, Header(include_in_schema=False)] = "",
) -> Literal["stream", "wait", "note"]:
    if EventStream.media_type in accept:
        return "stream"
    return "note" if "respond-async" in prefer else "wait"


Manner = Annotated[Literal["stream", "wait", "note"], Depends(_manner)]
Sender = Annotated[Person, Depends(_sender)]
Here = Annotated[Conversations, Depends(_here)]
Time = Annotated[Clock, Depends(_clock)]
Key = Annotated[
    str, Header(alias="Idempotency-Key", max_length=200, description="What is sent twice with it is done once.")
]
router = APIRouter()


def api(conversations: Conversations, principals: Principals, clock: Clock, cors: Collection[str] = ()) -> FastAPI:
    """The application below `PATH`. Pages of the sites `cors` may use it, with a key and without the page's cookie."""
    app = FastAPI(
        title="Parley",
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        servers=[{"url": PATH}],
        telemetry=NO_TELEMETRY,
    )
    app.state.conversations, app.state.principals, app.state.clock = conversations, principals, clock
    app.include_router(router)
    if cors:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=tuple(cors),
            allow_methods=("GET", "POST"),
            allow_headers=("Authorization", "Idempotency-Key", "Parley-User", "Prefer"),
            expose_headers=("Retry-After",),
        )
    app.add_exception_handler(Later, _later)
    app.add_exception_handler(StoreError, _unstored)
    app.add_exception_handler(RequestValidationError, _malformed)
    return app


async def _later(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Later)
    headers = {"Retry-After": str(math.ceil(error.retry_after))}
    return JSONResponse(error.body.model_dump(mode="json"), TOO_MANY, headers)


async def _unstored(_request: Request, _error: Exception) -> Response:
    return Response(status_code=503, headers={"Retry-After": "5"})


async def _malformed(_request: Request, error: Exception) -> Response:
    """Where and why. What was sent is not repeated: it may be anything, also text that cannot be encoded."""
    assert isinstance(error, RequestValidationError)
    faults = [{"where": ".".join(map(str, fault["loc"])), "why": fault["msg"]} for fault in error.errors()]
    return JSONResponse({"detail": faults}, 422)


@router.post("/chat", response_model=Answer, responses={TOO_MANY: {"model": Answer}})
async def chat(
    question: Question, sender: Sender, here: Here, clock: Time, manner: Manner, key: Key = ""
) -> Answer | Response:
    """Ask, and wait for the answer, two minutes at most.

    With `Accept: text/event-stream` it comes while it is written: events `begun`, `written` (a piece, and the character
    at which it begins) and `replied`. Asked again with the same key, an answer under way is joined.

    If the program has asked too much, for this person or for all of its people, the status is 429, `Retry-After` has
    the seconds to wait, and nothing is stored: the same request may be sent again. `error` of the reply says why.
    """
    following = await _asked(here, sender, question.text, key)
    if manner == "stream":
        return EventStream(_followed(here, sender, following), clock)
    return _noted(following) if manner == "note" else await _answered(here, sender, following, clock)


@router.get("/history")
async def history(sender: Sender, here: Here) -> Transcript:
    """The latest hundred messages and their replies, oldest first."""
    shown = await here.transcript(sender)
    return Transcript(turns=[shown_view(one, here.written(one.claim.id)) for one in shown])


@router.get("/events", response_model=None, responses={200: {"content": {EventStream.media_type: {}}}})
async def events(sender: Sender, here: Here, clock: Time) -> Response:
    """All that happens in the conversation, as events: `transcript` first, then `begun`, `written`, `replied` and
    `withdrawn`. A client that connects again begins with a new transcript.
    """
    return EventStream(_watched(here, sender), clock)


@router.post("/feedback")
async def feedback(vote: Vote, sender: Sender, here: Here, key: Key = "") -> Notice:
    """Vote on an answer."""
    return _told(sender, await here.press(sender, vote.turn, vote.vote, key))


@router.post("/press", responses={TOO_MANY: {"model": Notice}})
async def press(pressed: Pressed, sender: Sender, here: Here, key: Key = "") -> Notice:
    """Press a button that a reply shows, or stop an answer. One that asks again counts like a message."""
    if pressed.button not in BUTTONS:
        raise HTTPException(404, "there is no such button")
    return _told(sender, await here.press(sender, pressed.turn, pressed.button, key))


@router.post("/forget", responses={TOO_MANY: {"model": Answer}})
async def forget(sender: Sender, here: Here, clock: Time) -> Answer:
    """Delete everything that is stored about the person."""
    return await _answered(here, sender, await _asked(here, sender, f"{FORGET} yes", ""), clock)


async def _asked(here: Conversations, sender: Person, text: str, key: str) -> Following:
    """Ask. Raises Later for a program; the page shows a person why they have to wait."""
    following = await here.ask(sender, text, key)
    if sender.program and following.retry_after is not None:
        raise Later(_noted(following), following.retry_after)
    return following


def _noted(following: Following) -> Answer:
    return Answer(turn=following.turn_id, reply=reply_view(following.reply, []) if following.reply else None)


async def _answered(here: Conversations, sender: Person, following: Following, clock: Clock) -> Answer:
    if following.turn_id is None:
        return _noted(following)
    try:
        async with clock.timeout(WAIT_SECONDS):
            async for event in here.follow(sender, following):
                if isinstance(event, Replied):
                    return Answer(turn=event.claim.id, reply=turn_view(event.claim, event.reply).reply)
    except TimeoutError:
        pass
    return _noted(following)


async def _followed(here: Conversations, sender: Person, following: Following) -> AsyncGenerator[Sent]:
    if following.turn_id is None:
        yield Sent(name="replied", data=_noted(following))
        return
    async for event in here.follow(sender, following):
        yield event_view(event)


async def _watched(here: Conversations, sender: Person) -> AsyncGenerator[Sent]:
    shown, listener = await here.watch(sender)
    turns = [shown_view(one, here.written(one.claim.id)) for one in shown]
    yield Sent(name="transcript", data=Transcript(turns=turns))
    while event := await listener.next():
        yield event_view(event)


def _told(sender: Person, receipt: Receipt) -> Notice:
    notice = Notice(notice=receipt.notice, error=receipt.error, vote=receipt.vote)
    if sender.program and receipt.retry_after is not None:
        raise Later(notice, receipt.retry_after)
    return notice
