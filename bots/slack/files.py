"""Replies as files: uploaded unseen, and shared once below the message of the reply when the handle names the file."""

from dataclasses import replace

import structlog

from bots.slack.api import SlackApi
from bots.slack.forms import plain_form
from bots.slack.handle import Handle
from bots.slack.posts import Posts, place
from core.delivery import Claim
from core.errors import DeliveryRejected
from core.i18n import say
from core.messages import Reply

log = structlog.get_logger()


class Files:
    """The files of one bot account."""

    def __init__(self, api: SlackApi, posts: Posts) -> None:
        self._api = api
        self._posts = posts

    async def show(self, claim: Claim, handle: Handle, reply: Reply) -> Handle | None:
        """Share the reply as a file and return the handle unchanged; or upload it, and return the handle with the file.

        None if Slack refuses the file, for example because the app was not given the scope.
        """
        try:
            if not handle.file:
                return replace(handle, file=await self._api.upload(claim.file, reply.text.encode()))
            await self._share(claim, handle.file)
        except DeliveryRejected as error:
            log.warning("file refused", turn=claim.id, reason=error.reason)
            return None
        await self._posts.edit(claim, handle.ts, (plain_form(say(claim.locale, "private.file")),))
        return handle

    async def _share(self, claim: Claim, file: str) -> None:
        """Share the file, unless it is in the thread because an earlier attempt has shared it."""
        if self._posts.may_exist(claim) and await self._posts.has_file(claim, file):
            return
        with self._posts.in_doubt(claim):
            await self._api.share_file(place(claim), file, claim.file)
