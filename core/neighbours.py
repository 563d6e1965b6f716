"""What a gateway looks at when another gateway of its database sends a notice."""

from collections.abc import Iterator
from contextlib import contextmanager

from core.notice_board import NoticeBoard
from core.stages.cache import AnswerCache
from core.store import Store
from core.store.notices import Notice, Topic
from core.worker import Worker


@contextmanager
def looking(board: NoticeBoard, worker: Worker, answers: AnswerCache, store: Store) -> Iterator[None]:
    """Have the worker look for turns, and the answer cache whether its answers may still be told."""

    async def check(_notice: Notice) -> None:
        await answers.check(store)

    with (
        board.looking(Topic.WORK, worker.look),
        board.looking(Topic.CHANGED, worker.look),
        board.looking(Topic.DELETED, check),
    ):
        yield
