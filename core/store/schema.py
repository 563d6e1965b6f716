"""The tables. The migrations must lead to exactly this schema."""

from typing import Generic, TypeVar

import sqlalchemy as sa
from pydantic import TypeAdapter

from core.gathering import Piece
from core.messages import Choice, Media, Quote
from core.store.portable import POSTGRESQL, Text, partial_index

T = TypeVar("T")


class Json(sa.TypeDecorator[T], Generic[T]):
    """A column of frozen values that are stored as JSON, and validated when they are read."""

    impl = sa.Text
    cache_ok = True

    def __init__(self, shape: type[T]) -> None:
        super().__init__()
        self.shape = shape
        self._adapter = TypeAdapter(shape)

    def process_bind_param(self, value: T | None, dialect: sa.Dialect) -> str:  # noqa: ARG002
        assert value is not None
        return self._adapter.dump_json(value).decode()

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> T:  # noqa: ARG002
        assert value is not None
        return self._adapter.validate_json(value)


metadata = sa.MetaData()

SERVINGS = sa.Sequence("servings", metadata=metadata)
"""PostgreSQL's numbers of the round robin. SQLite has no sequences."""
TURN_IDS = sa.Sequence("turns_id_seq")
"""PostgreSQL's ids of turns, which are never given twice. It makes this sequence with the column."""

people = sa.Table(
    "people",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("key", Text, nullable=False, unique=True),  # str(Person)
    sa.Column("locale", Text),  # set with /lang
    sa.Column("spoken", Text),  # of their sentences; NULL until the first one
    sa.Column("straying", sa.Integer, nullable=False, default=0, server_default="0"),  # sentences in another language
    sa.Column("hint", Text),  # the language the platform says they use
    sa.Column("show_mood", sa.Boolean, nullable=False, default=True),
    sa.Column("admitted", sa.Boolean),  # by an administrator; NULL if none has decided
    sa.Column("asked_at", sa.Float, nullable=False, default=0.0, server_default="0"),  # for admission
    sa.Column("throttled_until", sa.Float, nullable=False, default=0.0),  # GCRA: theoretical arrival time
    sa.Column("noticed_at", sa.Float, nullable=False, default=0.0),  # when a flood was last answered
    sa.Column("served", sa.Integer, nullable=False, default=0),  # round robin: the smallest is next
    sa.Column("program", Text, nullable=False, default="", server_default=""),  # the key that writes for them
    sa.Index("people_served", "served"),
)

events = sa.Table(
    "events",
    metadata,
    sa.Column("digest", sa.LargeBinary, primary_key=True),  # of an event key, which may name a person
    sa.Column("seen_at", sa.Float, nullable=False, index=True),
    sa.Column("turn_id", sa.ForeignKey("turns.id", ondelete="SET NULL"), index=True),  # whose message it is
)
sa.event.listen(
    events,
    "after_create",
    # SQLite has this number in every table
    sa.DDL("ALTER TABLE events ADD COLUMN rowid BIGINT GENERATED ALWAYS AS IDENTITY UNIQUE").execute_if(  # type: ignore[no-untyped-call]
        dialect=POSTGRESQL
    ),
)

handoffs = sa.Table(
    "handoffs",  # of conversations to people
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("person_id", sa.ForeignKey("people.id", ondelete="CASCADE"), nullable=False),  # the customer
    sa.Column("conversation", Text, nullable=False),  # theirs
    sa.Column("kind", Text, nullable=False),  # of that chat
    sa.Column("locale", Text, nullable=False),  # of the bot's own words to the customer
    sa.Column("desk", Text, nullable=False),  # where people work, a str(ConversationKey)
    sa.Column("thread", Text, nullable=False, default=""),  # of the desk, once there is one
    sa.Column("state", Text, nullable=False),  # asked, taken, closed
    sa.Column("owner", Text, nullable=False, default=""),  # str(Person) of the operator who has taken over
    sa.Column("opened_at", sa.Float, nullable=False),
    sa.Column("due_at", sa.Float, nullable=False),  # when it is given back unless somebody acts
    sa.Column("taken_at", sa.Float),
    sa.Column("closed_at", sa.Float),
    sa.Column("ending", Text, nullable=False, default=""),  # why it was closed
    partial_index("handoffs_open", "person_id", "conversation", where="state <> 'closed'", unique=True),
    sa.Index("handoffs_desk", "desk", "thread"),
)

turns = sa.Table(
    "turns",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("person_id", sa.ForeignKey("people.id"), nullable=False),
    # the message
    sa.Column("front", Text, nullable=False),
    sa.Column("conversation", Text, nullable=False),  # str(ConversationKey)
    sa.Column("kind", Text, nullable=False),
    sa.Column("text", Text, nullable=False),
    sa.Column("locale", Text, nullable=False, default="en", server_default="en"),  # of the bot's own words
    sa.Column("sent_at", sa.Float, nullable=False),
    sa.Column("reference", Text, nullable=False, default="", server_default=""),
    sa.Column("quotes", Json(tuple[Quote, ...]), nullable=False, default=(), server_default="[]"),
    sa.Column("media", Json(tuple[Media, ...]), nullable=False, default=(), server_default="[]"),
    sa.Column("again", sa.Integer, nullable=False, default=0, server_default="0"),  # the turn whose question it asks
    sa.Column("pieces", Json(tuple[Piece, ...]), nullable=False, default=(), server_default="[]"),
    sa.Column("opens", Json(tuple[str, ...]), nullable=False, default=(), server_default="[]"),  # names to join it by
    # its way through the bot
    sa.Column("state", Text, nullable=False),
    sa.Column("owner", Text, nullable=False, default=""),
    sa.Column("lease_until", sa.Float, nullable=False, default=0.0),
    sa.Column("leased_at", sa.Float, nullable=False, default=0.0, server_default="0"),  # or renewed
    sa.Column("not_before", sa.Float, nullable=False, default=0.0, server_default="0"),  # more of it may come
    sa.Column("changed", sa.Boolean, nullable=False, default=False, server_default="0"),  # since it was claimed
    sa.Column("stopped", sa.Boolean, nullable=False, default=False, server_default=sa.false()),  # since then, by /stop
    sa.Column("revised", sa.Boolean, nullable=False, default=False, server_default="0"),  # its answer was begun anew
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("faults", sa.Integer, nullable=False, default=0, server_default="0"),  # tries that failed unexpectedly
    sa.Column("fault", Text, nullable=False, default="", server_default=""),  # what the last of them raised, and where
    sa.Column("handle", Text, nullable=False, default=""),  # the placeholder shown for this turn, if any
    sa.Column("accepted_at", sa.Float, nullable=False),
    sa.Column("claimed_at", sa.Float),
    sa.Column("finished_at", sa.Float),
    sa.Column("seconds", sa.Float),  # that the reply took, by a clock that cannot be set
    sa.Column("first_piece", sa.Float),  # of these, those until its first words; NULL if none came before the whole
    # the reply
    sa.Column("reply", Text),
    sa.Column("source", Text),
    sa.Column("finish", Text),
    sa.Column("error", Text),
    sa.Column("mood_label", Text),
    sa.Column("mood_confidence", sa.Float),
    sa.Column("show_mood", sa.Boolean),
    sa.Column("cites", Text),
    sa.Column("prompt_tokens", sa.Integer),
    sa.Column("completion_tokens", sa.Integer),
    sa.Column("cached_tokens", sa.Integer),
    # its place in history
    sa.Column("tokens", sa.Integer, nullable=False, default=0),
    sa.Column("remembered", sa.Boolean, nullable=False, default=False),
    sa.Column("forgotten", sa.Boolean, nullable=False, default=False, server_default=sa.false()),  # with /reset
    sa.Column("leaving", sa.Boolean, nullable=False, default=False, server_default=sa.false()),  # goes once delivered
    # its place in a hand-off
    sa.Column("handoff_id", sa.Integer),
    sa.Column("at_desk", sa.Boolean, nullable=False, default=False, server_default=sa.false()),  # is shown there
    sa.Column("choices", Json(tuple[Choice, ...]), nullable=False, default=(), server_default="[]"),  # of the reply
    sa.Column(
        "suggestions", Json(tuple[str, ...]), nullable=False, default=(), server_default="[]"
    ),  # of the reply too
    partial_index("turns_open", "front", "state", where="state <> 'delivered'"),
    partial_index("turns_dead", "id", where="state = 'dead'"),
    sa.Index("turns_conversation", "conversation", "person_id", "id"),
    sa.Index("turns_person", "person_id", "id"),
    sa.Index("turns_accepted", "accepted_at"),
    partial_index("turns_open_here", "conversation", "id", where="state <> 'delivered'"),
    partial_index("turns_open_theirs", "person_id", where="state <> 'delivered'"),
    partial_index(
        "turns_remembered", "conversation", "person_id", "id", where=sa.column("remembered", sa.Boolean) == sa.true()
    ),
    partial_index("turns_measured", "id", where="source = 'model' AND seconds >= 0"),
    partial_index("turns_quoting", "id", where="quotes <> '[]'"),
    partial_index("turns_handoff", "handoff_id", "id", where="handoff_id IS NOT NULL"),
    partial_index("turns_commands", "text", where="source = 'command'"),
)

votes = sa.Table(
    "votes",
    metadata,
    sa.Column("turn_id", sa.ForeignKey("turns.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("person_id", sa.ForeignKey("people.id"), primary_key=True),
    sa.Column("vote", sa.Integer, nullable=False),  # 1 or -1
    sa.Column("cast_at", sa.Float, nullable=False),
    sa.Index("votes_person", "person_id"),
)

tombstones = sa.Table(
    "tombstones",
    metadata,
    sa.Column("digest", sa.LargeBinary, primary_key=True),  # of str(Person), keyed
    sa.Column("forgotten_at", sa.Float, nullable=False),  # by the platform's clock
    # what /forget must not lift, as in `people`
    sa.Column("admitted", sa.Boolean),
    sa.Column("asked_at", sa.Float, nullable=False),
    sa.Column("throttled_until", sa.Float, nullable=False),
    sa.Column("noticed_at", sa.Float, nullable=False),
)

stale_scopes = sa.Table(
    "stale_scopes",  # of the prefix cache, which model servers must still drop
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("front", Text, nullable=False, default=""),  # for versions before schema 0023
    sa.Column("scope", Text, nullable=False),
)

gateways = sa.Table(
    "gateways",  # and what they have told their model servers
    metadata,
    sa.Column("owner", Text, primary_key=True),  # of leases
    sa.Column("seen_at", sa.Float, nullable=False),
    sa.Column("told", sa.Integer, nullable=False),  # the last of `stale_scopes` that its model server has dropped
    sa.Column("can_forget", sa.Boolean, nullable=False),  # whether its model server can do that
)

keys = sa.Table(
    "keys",  # of programs that use the HTTP interface
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", Text, nullable=False),
    sa.Column("digest", sa.LargeBinary, nullable=False, unique=True),  # the key itself is stored nowhere
    sa.Column("scopes", Json(tuple[str, ...]), nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("revoked_at", sa.Float),
    sa.Column("used_at", sa.Float),  # or up to an hour later
    sa.Column("per_minute", sa.Integer),  # messages of its people; NULL for the setting
    sa.Column("throttled_until", sa.Float, nullable=False, default=0.0, server_default="0"),  # as in `people`
    partial_index("keys_live", "name", where="revoked_at IS NULL", unique=True),
)

sessions = sa.Table(
    "sessions",  # of operators who have signed in
    metadata,
    sa.Column("digest", sa.LargeBinary, primary_key=True),  # the session's token is stored nowhere
    sa.Column("key_id", sa.ForeignKey("keys.id", ondelete="CASCADE")),  # signed in with it; NULL: with the password
    sa.Column("opened_at", sa.Float, nullable=False),
    sa.Column("used_at", sa.Float, nullable=False),  # or a minute later
)

installation = sa.Table(
    "installation",  # one row
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("key", sa.LargeBinary, nullable=False),  # of the digests of tombstones
    sa.Column("last_turn", sa.Integer, nullable=False),  # no turn gets a lower id: buttons name turns that are deleted
    sa.Column("checked_at", sa.Float, nullable=False),  # when /ready last wrote
    sa.Column("looked_at", sa.Float, nullable=False, default=0.0, server_default="0"),  # for old records
    sa.Column("password", Text, nullable=False, default="", server_default=""),  # of operators: its argon2 hash
    sa.Column("oldest_program", Text, nullable=False, default="", server_default=""),  # that can use this: its schema
)

duties = sa.Table(
    "duties",  # each is done by one gateway at a time
    metadata,
    sa.Column("name", Text, primary_key=True),
    sa.Column("owner", Text, nullable=False),  # a gateway
    sa.Column("lease_until", sa.Float, nullable=False),
    sa.Column("leased_at", sa.Float, nullable=False),  # or renewed
)
