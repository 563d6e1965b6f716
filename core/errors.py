"""Everything that can go wrong, as one tree. An error carries data; `core/i18n.py` finds the words for it.

ParleyError
├── ConfigError                a setting is unknown or unusable
├── Refusal                    the person is told why, nothing is broken
│   ├── NotAllowed             the person is not on the list
│   ├── EmptyText
│   ├── TooLong                over the size limit, in bytes or tokens
│   ├── Throttled              over the person's rate
│   ├── QueueFull              too many of the person's own messages wait already
│   └── Busy                   the predicted wait is over the limit
├── EngineError
│   ├── EngineUnavailable      nobody answers, or it says that it is full
│   ├── EngineLost             the server broke off in mid-reply
│   ├── EngineStalled          no piece came within the deadline
│   ├── EmptyReply             the model ended before it said anything
│   └── EngineRefused          the server does not accept the request
├── ModelError
│   ├── ModelMissing
│   ├── ModelDamaged
│   ├── NoKernels              the decoder in C cannot be had on this machine
│   └── ControlToken           text would have become a control token; never expected
├── DeliveryFailed             a platform does not take the reply now
├── LeaseLost                  the turn is not ours any more: another gateway answers it
└── StoreError
    ├── StoreDamaged           the database is not sound; it is left untouched
    ├── StoreFull              no room to write; nothing was accepted
    └── StoreLocked            another process holds the database
"""


class ParleyError(Exception):
    """The root of the tree."""


class ConfigError(ParleyError):
    """The setting `key` cannot be used; `reason` says why in a few words for the operator."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"{key}: {reason}")
        self.key = key
        self.reason = reason


class Refusal(ParleyError):
    """The message gets a sentence instead of an answer."""


class NotAllowed(Refusal):
    """Who wrote is not on the list of those who may; `person` is what to put there."""

    def __init__(self, *, person: str) -> None:
        super().__init__(person)
        self.person = person


class EmptyText(Refusal):
    """Nothing is left of the message once it is cleaned."""


class TooLong(Refusal):
    """The message is longer than `limit`; `unit` is "bytes" or "tokens"."""

    def __init__(self, *, size: int, limit: int, unit: str) -> None:
        super().__init__(f"{size} of {limit} {unit}")
        self.size = size
        self.limit = limit
        self.unit = unit


class Throttled(Refusal):
    """The person writes faster than allowed; the next message is welcome in `retry_after` seconds."""

    def __init__(self, *, retry_after: float) -> None:
        super().__init__(f"retry after {retry_after:.0f} s")
        self.retry_after = retry_after


class QueueFull(Refusal):
    """`limit` messages of this person wait already."""

    def __init__(self, *, limit: int) -> None:
        super().__init__(f"{limit} waiting")
        self.limit = limit


class Busy(Refusal):
    """An answer is predicted to take longer than people are asked to wait; try in `retry_after` seconds."""

    def __init__(self, *, retry_after: float) -> None:
        super().__init__(f"retry after {retry_after:.0f} s")
        self.retry_after = retry_after


class EngineError(ParleyError):
    """The model did not answer as it should."""


class EngineUnavailable(EngineError):
    """Nobody answers at the engine's address, or it is full; nothing of a reply was made."""


class EngineLost(EngineError):
    """The engine broke off in the middle of a reply."""


class EngineStalled(EngineError):
    """The engine made no progress for `seconds`."""

    def __init__(self, *, seconds: float) -> None:
        super().__init__(f"silent for {seconds:g} s")
        self.seconds = seconds


class EmptyReply(EngineError):
    """The model ended its reply before it said anything."""


class EngineRefused(EngineError):
    """The engine answered with an HTTP `status` that says the request itself is at fault."""

    def __init__(self, *, status: int, reason: str) -> None:
        super().__init__(f"{status}: {reason}")
        self.status = status
        self.reason = reason


class ModelError(ParleyError):
    """A model folder cannot be used; `path` names the folder or file at fault."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class ModelMissing(ModelError):
    """There is no model where one is expected."""


class ModelDamaged(ModelError):
    """A file of the model is truncated, altered or of a kind that is not loaded."""


class NoKernels(ModelError):
    """The decoder in C, whose source is `path`, cannot be compiled or loaded here."""


class ControlToken(ModelError):
    """Encoding plain text gave the id of a control token. The tokenizer of this model cannot be trusted."""


class DeliveryFailed(ParleyError):
    """The platform did not take what was sent; it may be sent again in `retry_after` seconds."""

    def __init__(self, *, retry_after: float) -> None:
        super().__init__(f"retry after {retry_after:g} s")
        self.retry_after = retry_after


class LeaseLost(ParleyError):
    """This process was taken for dead, and another gateway answers the turn."""


class StoreError(ParleyError):
    """The store cannot do what it was asked; nothing was changed."""


class StoreDamaged(StoreError):
    """The database is not sound. It is left as it is; restore a backup."""


class StoreFull(StoreError):
    """There is no room to write."""


class StoreLocked(StoreError):
    """Another process holds the database for longer than is reasonable."""
