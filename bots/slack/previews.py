"""Previews of replies while the model writes: a stream grows, or a placeholder is edited. A failed one is skipped."""

from dataclasses import replace
from functools import partial

import structlog

from bots.markdown import laid_out, so_far
from bots.markdown.formatted import BLOCKS_OF_CODE
from bots.slack.api import Session, SlackApi
from bots.slack.debounce import Debouncer
from bots.slack.forms import SIZES, parts_of, rich_forms
from bots.slack.handle import Handle, Surface
from bots.slack.links import without_links
from bots.slack.posts import Posts, place
from bots.slack.rendering import LAYOUT, markdown
from bots.slack.streams import Streams
from core.clock import Clock
from core.delivery import Claim
from core.errors import DeliveryFailed, DeliveryRejected

log = structlog.get_logger()

STREAM_PAUSES = (3.0, 5.0)
"""Seconds before each append, shorter than those before edits: a stream may end after 30 seconds of silence."""
MORE = "\n…"
PREVIEW_SIZE = SIZES[0] - len(MORE)
"""Characters of the message that is shown as a preview."""


class Previews:
    """The previews of the turns of one bot account."""

    def __init__(self, api: SlackApi, posts: Posts, streams: Streams, clock: Clock) -> None:
        self._api = api
        self._posts = posts
        self._streams = streams
        self._texts = Debouncer(clock)
        self._has_sessions = True
        self._processing: set[int] = set()

    async def begin(self, claim: Claim, handle: Handle) -> None:
        """Begin to show a reply in the message of a handle."""
        if handle.surface is Surface.STREAM:
            await self._texts.begin(claim.id, partial(self._append, claim, handle), STREAM_PAUSES)
        else:
            await self._texts.begin(claim.id, partial(self._edit, claim, handle))

    async def add(self, claim: Claim, handle: Handle, piece: str) -> None:
        """Add a piece of the reply. Begins the preview if an earlier process began the turn."""
        if claim.id not in self._texts:
            if handle.surface is Surface.STREAM:
                self._streams.adopt(claim.id, place(claim), handle.ts)
            await self.begin(claim, handle)
        self._texts.add(claim.id, piece)

    async def end(self, turn_id: int) -> bool:
        """End a preview, and wait for a call under way, so that none can arrive after the reply. False if there is
        none.
        """
        return await self._texts.end(turn_id)

    async def end_all(self) -> None:
        await self._texts.end_all()

    async def end_processing(self, claim: Claim) -> None:
        """Have Slack show that the answer is there, if a preview of it had it show that the bot is processing.

        Slack itself shows that for an hour.
        """
        if claim.id in self._processing or self._posts.may_exist(claim):
            self._processing.discard(claim.id)
            await self._set_session(claim, Session.ACTIVE)

    async def _append(self, claim: Claim, handle: Handle, text: str) -> None:
        """Append to the stream; fall back to edits once it has ended. Slack shows an empty stream as in progress."""
        await self._begin_processing(claim)
        shown = so_far(text, can_change=False)
        whole = without_links(laid_out(shown, LAYOUT))
        is_code = any(code.end == len(whole.text) for code in whole.of(*BLOCKS_OF_CODE))
        # a space says that the last word is complete; without one it may be held back
        written = markdown(whole) + " " * (shown.endswith(" ") and not is_code)
        try:
            if whole.text and not await self._streams.show(claim.id, written):
                await self._edit(claim, handle, text)
        except DeliveryFailed as error:
            log.debug("preview dropped", turn=claim.id, error=type(error).__name__)

    async def _edit(self, claim: Claim, handle: Handle, text: str) -> None:
        """Edit the message once there are words."""
        await self._begin_processing(claim)
        whole = laid_out(so_far(text), LAYOUT)
        if not whole.text:
            return
        if handle.surface is Surface.STREAM:
            whole = without_links(whole)  # Slack previews links in what was a stream
        shown, *rest = parts_of(whole, PREVIEW_SIZE)
        try:
            await self._posts.edit(claim, handle.ts, rich_forms(replace(shown, text=shown.text + MORE * bool(rest))))
        except (DeliveryFailed, DeliveryRejected) as error:
            log.debug("preview dropped", turn=claim.id, error=type(error).__name__)

    async def _begin_processing(self, claim: Claim) -> None:
        """Have Slack show once that the bot is processing, with a button to stop."""
        if claim.id not in self._processing:
            self._processing.add(claim.id)
            await self._set_session(claim, Session.PROCESSING)

    async def _set_session(self, claim: Claim, status: Session) -> None:
        """Set the status of the thread's session. After a refusal no more are set: not every workspace has sessions."""
        if not self._has_sessions:
            return
        try:
            await self._api.set_session(place(claim), status)
        except DeliveryRejected as error:
            log.info("no session is shown", reason=error.reason)
            self._has_sessions = False
        except DeliveryFailed:
            return
