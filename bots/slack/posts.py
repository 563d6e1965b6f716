"""Messages that are posted once, as far as one can know: each carries a mark by which it is found after a crash."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from bots.slack.forms import Form, Forms
from bots.slack.places import Bot, Place
from bots.slack.web import NotTaken, Web
from core.clock import Clock
from core.delivery import Claim

log = structlog.get_logger()

BAD_FORM = {"invalid_blocks", "invalid_blocks_format", "invalid_arguments", "markdown_text_conflict", "no_text"}
CLOCK_SKEW = 60.0


class Posts:
    """The messages of one bot account."""

    def __init__(self, web: Web, bot: Bot, clock: Clock) -> None:
        self._web = web
        self._bot = bot
        self._born = clock.now()
        self._in_doubt: set[int] = set()

    async def post(self, claim: Claim, part: str, form: Form) -> str:
        """Post a message, unless it is there already: from before a crash, or from a post whose answer was lost."""
        tag = f"{claim.id}:{claim.message.reference}:{part}"
        is_looked_for = self.may_be_there(claim)
        with self.doubted(claim):
            found = await self._find(claim, tag) if is_looked_for else ""
            return found or await self._web.post(place(claim), form, tag)

    async def post_beside(self, claim: Claim, part: str, forms: Forms) -> None:
        """One more message of a reply, looked for before it is posted: this may be the second try."""
        self._in_doubt.add(claim.id)
        ts = await self.post(claim, part, forms[-1])
        await self.edit(claim, ts, forms)

    async def edit(self, claim: Claim, ts: str, forms: Forms) -> None:
        """Edit a message to the best form that the workspace knows."""
        for form in forms[:-1]:
            try:
                return await self._web.update(place(claim), ts, form)
            except NotTaken as error:
                if error.code not in BAD_FORM:
                    raise
        return await self._web.update(place(claim), ts, forms[-1])

    def may_be_there(self, claim: Claim) -> bool:
        """Messages from before our time may have been worked on by somebody else."""
        return claim.attempt > 1 or claim.id in self._in_doubt or claim.message.sent_at < self._born + CLOCK_SKEW

    @contextmanager
    def doubted(self, claim: Claim) -> Iterator[None]:
        """Something is posted for a turn: if that fails, it may be there all the same."""
        self._in_doubt.add(claim.id)
        yield
        self._in_doubt.discard(claim.id)

    async def _find(self, claim: Claim, tag: str) -> str:
        try:
            said = await self._web.replies(place(claim), oldest=claim.message.reference)
        except NotTaken as error:  # without the right to read the thread a second bubble is the lesser evil
            log.info("cannot look for an earlier post", reason=error.code)
            return ""
        return next((message.ts for message in said if message.tag == tag and message.user == self._bot.user), "")


def place(claim: Claim) -> Place:
    conversation = claim.message.conversation
    return Place(channel=conversation.chat, thread=conversation.thread)
