"""Which entries of the access list admit whom."""

import pytest

from core.access import is_allowed, is_welcome
from core.messages import ConversationKey, Person

ANN = Person(platform="p", workspace="w", id="ann")
GUEST = Person(platform="p", workspace="w", id="guest", is_outsider=True)
HERE = ConversationKey(platform="p", workspace="w", chat="here", thread="t")


@pytest.mark.parametrize(
    ("entry", "admits_ann"),
    [
        ("p:ann", True),
        ("p:*", True),
        ("p:chat:here", True),
        ("p:channel:here", True),
        ("p:bob", False),
        ("p:chat:there", False),
        ("p:here", False),
        ("q:ann", False),
        ("q:*", False),
        ("q:chat:here", False),
    ],
)
def test_a_person_is_admitted_by_name_by_platform_or_by_place(entry: str, admits_ann: bool) -> None:  # noqa: FBT001
    """Each form of entry admits a member, and only those that it names."""
    assert is_allowed(ANN, HERE, {entry}) == admits_ann


def test_an_outsider_must_be_named() -> None:
    """Neither the platform nor the place admits an outsider, and their own name does."""
    assert not is_allowed(GUEST, HERE, {"p:*", "p:chat:here", "p:channel:here", "p:ann"})
    assert is_allowed(GUEST, HERE, {"p:guest"})
    assert not is_allowed(ANN, HERE, set())


@pytest.mark.parametrize(
    ("allow", "admins", "admitted", "is_in"),
    [
        ("p:*", "", None, True),
        ("p:*", "", False, False),
        ("p:chat:here", "", False, False),
        ("p:ann", "", False, True),
        ("p:*", "p:ann", False, True),
        ("", "p:ann", False, False),
        ("", "p:ann", None, False),
        ("", "", True, True),
        ("", "", None, False),
    ],
)
def test_a_no_counts_more_than_an_entry_for_all_and_less_than_a_name(
    allow: str,
    admins: str,
    admitted: bool | None,  # noqa: FBT001
    is_in: bool,  # noqa: FBT001
) -> None:
    """A person who was shut out is refused in an open place too, unless the configuration names them."""
    assert is_welcome(ANN, HERE, {allow}, {admins}, admitted=admitted) == is_in
