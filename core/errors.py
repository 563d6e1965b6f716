"""All errors of Parley, as one tree. An error carries data; `core/apologies.py` finds the words for it.

ParleyError
├── ConfigError                a setting is unknown or unusable
├── KnowledgeUnusable          a file of the knowledge folder cannot be used
├── KeyRefused                 a key of the HTTP interface cannot be added or revoked
├── PasswordRefused            a password for operators cannot be set
├── Refusal                    the message is not answered, and the person is told why
│   ├── NotAllowed             the person is not in access.allow
│   ├── EmptyText
│   ├── Unreadable             there are no words in it, only pictures, voice and the like
│   ├── TooLong                over the size limit, in bytes, tokens or characters
│   ├── NotNow                 the same message may be accepted later
│   │   ├── Throttled          over the person's rate limit
│   │   │   └── KeyThrottled   over that of the key by which a program writes for them
│   │   ├── QueueFull          too many of the person's own messages are waiting
│   │   │   └── KeyQueueFull   too many of all people for whom the program writes
│   │   └── Busy               the predicted wait exceeds the limit
│   ├── Misused                a command without what it needs
│   ├── KnowledgeMissing       there is no folder of knowledge to be taught
│   ├── GapUnknown             a number that names no question without a good answer
│   ├── AnsweredAlready        a question that is to be taught has an answer
│   ├── EntryUnwritable        an entry cannot be added to the knowledge folder
│   ├── NotTheAsker            a button that only another person may press
│   ├── QuestionForgotten      a button under an answer whose question is not known any more
│   ├── AnsweringAgain         a button for what is being done already
│   ├── Expired                a button that was pressed too late
│   ├── NotAnOperator          a button that only operators may press
│   ├── AlreadyTaken           another operator has taken the conversation over
│   └── HandoffClosed          a button of a conversation that is with the bot again
├── EngineError
│   ├── EngineUnavailable      the server is unreachable or overloaded
│   ├── EngineLost             the server broke off in the middle of a reply
│   ├── EngineStalled          no piece of the reply arrived before the deadline
│   ├── EmptyReply             the model ended its reply without any text
│   └── EngineRefused          the server rejects the request
├── ModelError
│   ├── ModelMissing
│   ├── ModelDamaged
│   ├── NoKernels              the C decoder cannot be built or loaded on this machine
│   ├── TransformersMissing    the model needs transformers, which this installation leaves out
│   ├── ControlToken           plain text was encoded as a control token; never expected
│   └── RolesRefused           the model's chat template rejects this order of roles
├── DeliveryFailed             the platform does not accept the reply now
│   ├── RateLimited            the platform's rate limit is reached; nothing was shown
│   ├── ProxyFailed            the proxy does not lead to the platform
│   ├── AnswerUnreadable       the platform's answer has no known form, so that what it did is not known
│   └── TokenRefused           the platform does not accept the bot's token
├── DeliveryRejected           the platform refuses the reply for good
├── LeaseLost                  another gateway has taken the turn over
├── MessageChanged             the message of a turn has changed since it was claimed
└── StoreError
    ├── StoreFull              the disk is full; nothing was accepted
    ├── StoreFailing           the disk fails to read or to write; nothing was accepted
    │   └── StoreLost          the database's server is not reached
    ├── StoreReadOnly          the database cannot be written to; nothing was accepted
    ├── StoreLocked            another process holds the database
    └── StoreUnusable          an operator must do something first
        ├── StoreDamaged       the database is corrupt; it is left untouched
        ├── StoreReplaced      the file of the open database is gone, or another one is in its place
        ├── StoreTooNew        a newer version of the program has migrated the database
        ├── StoreExposed       other users can read the database, and it is not ours to change that
        ├── BackupRefused      a backup cannot be made there, or cannot be restored
        └── CopyRefused        a database cannot be copied into another one
"""

from core.messages import Media


class ParleyError(Exception):
    """The root of the tree."""


class ConfigError(ParleyError):
    """The setting `key` is unusable; `reason` tells the operator why in a few words."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"{key}: {reason}")
        self.key = key
        self.reason = reason


class KnowledgeUnusable(ParleyError):
    """`file` of the knowledge folder is unusable, at `line` if that is known; `reason` tells the operator why."""

    def __init__(self, *, file: str, reason: str, line: int | None = None) -> None:
        super().__init__(f"{file}{f', line {line}' if line else ''}: {reason}")
        self.file = file
        self.line = line
        self.reason = reason


class KeyRefused(ParleyError):
    """The key `name` cannot be added or revoked; `reason` tells the operator why in a few words."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason


class PasswordRefused(ParleyError):
    """The message is the reason, in a few words."""


class Refusal(ParleyError):
    """The message gets a notice instead of an answer."""


class NotAllowed(Refusal):
    """The sender is not in `access.allow`; `person` is the entry that would allow them.

    `is_asked` says that administrators are asked to let them in.
    """

    def __init__(self, *, person: str, is_asked: bool = False) -> None:
        super().__init__(person)
        self.person = person
        self.is_asked = is_asked


NOT_ALLOWED = "not_allowed"
"""The kind of that refusal, as replies and receipts name it."""


class EmptyText(Refusal):
    """The message has no text once control characters and spaces are removed."""


class Unreadable(Refusal):
    """The message consists of `media` and has no words."""

    def __init__(self, *, media: tuple[Media, ...]) -> None:
        super().__init__(", ".join(media))
        self.media = media


class TooLong(Refusal):
    """The message exceeds `limit`; `unit` is "bytes" or "tokens", or "characters" of an entry that is taught."""

    def __init__(self, *, size: int, limit: int, unit: str) -> None:
        super().__init__(f"{size} of {limit} {unit}")
        self.size = size
        self.limit = limit
        self.unit = unit


class NotNow(Refusal):
    """There are too many messages; the same one may be accepted in `retry_after` seconds."""

    def __init__(self, *, retry_after: float) -> None:
        super().__init__(f"retry after {retry_after:.0f} s")
        self.retry_after = retry_after


class Throttled(NotNow):
    """The person exceeds their rate limit; the next message is accepted in `retry_after` seconds."""


class KeyThrottled(Throttled):
    """All people for whom a program writes exceed the rate limit of its key together."""


class QueueFull(NotNow):
    """This person has `limit` messages waiting already. One takes about `retry_after` seconds."""

    def __init__(self, *, limit: int, retry_after: float) -> None:
        super().__init__(retry_after=retry_after)
        self.limit = limit


class KeyQueueFull(QueueFull):
    """The people for whom a program writes have `limit` messages waiting already."""


class Busy(NotNow):
    """The predicted wait exceeds `limits.max_wait`; try again in `retry_after` seconds."""


class Misused(Refusal):
    """A command lacks what it needs; `usage` is how to type it."""

    def __init__(self, *, usage: str) -> None:
        super().__init__(usage)
        self.usage = usage


class KnowledgeMissing(Refusal):
    """The setting `knowledge.folder` is missing, so that nothing can be taught."""


class GapUnknown(Refusal):
    """The turn `number` is no question without a good answer; its sender may have had it forgotten."""

    def __init__(self, *, number: int) -> None:
        super().__init__(str(number))
        self.number = number


class AnsweredAlready(Refusal):
    """The knowledge has an `answer` to a question that somebody wants to answer."""

    def __init__(self, *, answer: str) -> None:
        super().__init__()
        self.answer = answer


class EntryUnwritable(Refusal):
    """An entry cannot be added to the knowledge folder: its `file` is unusable for a `reason`."""

    def __init__(self, *, file: str, reason: str) -> None:
        super().__init__(f"{file}: {reason}")
        self.file = file
        self.reason = reason


class NotTheAsker(Refusal):
    """The button belongs to the answer to another person's question."""


class QuestionForgotten(Refusal):
    """The button names a turn that is deleted, was forgotten with /reset, or is no question."""


class AnsweringAgain(Refusal):
    """The question that the button names is being answered again already."""


class Expired(Refusal):
    """The button says yes to a question that was asked too long ago."""


class NotAnOperator(Refusal):
    """The button is for the people who take conversations over."""


class AlreadyTaken(Refusal):
    """Another operator, the `owner`, has the conversation."""

    def __init__(self, *, owner: str) -> None:
        super().__init__(owner)
        self.owner = owner


class HandoffClosed(Refusal):
    """The conversation was given back, or the matter is settled."""


class EngineError(ParleyError):
    """The engine failed to answer."""


class EngineUnavailable(EngineError):
    """The server is unreachable or overloaded; no part of a reply was generated."""


class EngineLost(EngineError):
    """The server broke off in the middle of a reply."""


class EngineStalled(EngineError):
    """The server sent nothing for `seconds`."""

    def __init__(self, *, seconds: float) -> None:
        super().__init__(f"silent for {seconds:g} s")
        self.seconds = seconds


class EmptyReply(EngineError):
    """The model ended its reply without any text."""


class EngineRefused(EngineError):
    """The server rejected the request with an HTTP `status`."""

    def __init__(self, *, status: int, reason: str) -> None:
        super().__init__(f"{status}: {reason}")
        self.status = status
        self.reason = reason


class ModelError(ParleyError):
    """A model is unusable; `path` is the folder or file at fault."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class ModelMissing(ModelError):
    """There is no model at `path`."""


class ModelDamaged(ModelError):
    """A file of the model is truncated, altered, or of an unsupported kind."""


class NoKernels(ModelError):
    """The C decoder, whose source is `path`, cannot be compiled or loaded on this machine."""


class TransformersMissing(ModelError):
    """The model at `path` does not run on the kernels, and torch or transformers is not installed."""


class ControlToken(ModelError):
    """Plain text was encoded as a control token, so the tokenizer of this model cannot be trusted."""


class RolesRefused(ModelError):
    """The model's chat template does not accept messages of these roles in this order."""


class DeliveryFailed(ParleyError):
    """The platform did not accept the call; retry in `retry_after` seconds.

    `reason` is for the log and holds neither tokens nor message texts.
    """

    def __init__(self, *, retry_after: float, reason: str = "") -> None:
        super().__init__(f"retry after {retry_after:g} s")
        self.retry_after = retry_after
        self.reason = reason


class RateLimited(DeliveryFailed):
    """The platform's rate limit is reached, or would be. Nothing was shown."""


class ProxyFailed(DeliveryFailed):
    """The proxy does not lead to the platform; nothing was shown. An operator may have to change its password."""


class AnswerUnreadable(DeliveryFailed):
    """The platform, or something in between, answered in a form that it does not document.

    It may have done what was asked.
    """


class TokenRefused(DeliveryFailed):
    """The platform does not accept the bot's token; an operator may have to change it."""


class DeliveryRejected(ParleyError):
    """The platform refuses what was sent, and would refuse it again; `reason` is the platform's word for why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class LeaseLost(ParleyError):
    """The lease on a turn expired, and another gateway has claimed it."""


class MessageChanged(ParleyError):
    """The message of a turn has changed since it was claimed, so its reply is of no use."""


class StoreError(ParleyError):
    """The store rolled a transaction back."""


class StoreFull(StoreError):
    """The disk is full."""


class StoreFailing(StoreError):
    """A file of the database cannot be opened, read or written now: the disk fails, or a quota is used up."""


class StoreLost(StoreFailing):
    """The connection to the database's server has ended, or there is none. It may have done what it was told last."""


class StoreReadOnly(StoreError):
    """The database or its disk is read-only."""


class StoreLocked(StoreError):
    """Another process holds the database lock for longer than the busy timeout."""


class StoreUnusable(StoreError):
    """It stays as it is until an operator does something."""


class StoreDamaged(StoreUnusable):
    """The database is corrupt. It is left as it is; restore a backup."""


class StoreReplaced(StoreUnusable):
    """The file at `path` is not the one that was opened: what is committed now would be lost."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} was removed or replaced while it was in use")
        self.path = path


class StoreTooNew(StoreUnusable):
    """The database has the schema `revision`, which this version of the program does not know."""

    def __init__(self, revision: str) -> None:
        super().__init__(f"the database is of a newer version of parley (schema {revision})")
        self.revision = revision


class StoreExposed(StoreUnusable):
    """Other users can read the file at `path`, which belongs to another user than this process."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path}: others can read it, and it belongs to another user; make it yours, with mode 600")
        self.path = path


class BackupRefused(StoreUnusable):
    """The file at `path` is not made or not restored, for this reason."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class CopyRefused(StoreUnusable):
    """Nothing is copied from, or into, the database `name`, for this reason."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason
