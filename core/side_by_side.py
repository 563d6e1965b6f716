"""The verbs that run beside each other on PostgreSQL: those that every message needs.

Each is safe beside the others, and beside itself. `accept` locks its person's row, so that their limits hold and their
messages join; then the row of the key that writes for them; then the conversation, whose turns get their ids in the
order of their commits. A claim locks its turn and passes over those that are locked. All else changes turns that are
leased to the caller alone, or the caller's own row among the gateways. A duty is one row, which is looked at again once
its lock is free, and of two gateways that insert it at once the later one inserts nothing. The order of locks is turn,
person, key, conversation. Every other verb runs alone, and so does a rare case in one of these, which calls
`core.store.alone.alone`.
"""

from core.accepting import accept, overhear
from core.handoff import offering
from core.keys import find_key
from core.store import duties, history, installation, notices, people, stale_scopes, turns

SIDE_BY_SIDE = (
    accept,
    overhear,
    find_key,
    people.find_or_add,
    history.load,
    turns.claim_waiting,
    turns.claim_answered,
    turns.set_handle,
    turns.finish,
    offering.finish,
    turns.mark_delivered,
    turns.release,
    turns.renew,
    turns.changed,
    turns.next_due,
    turns.has_unclaimed,
    installation.touch,
    duties.take,
    duties.release,
    stale_scopes.see,
    notices.send,
)
