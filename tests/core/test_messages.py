from hypothesis import given
from hypothesis import strategies as st

from core.messages import ConversationKey, Person

part = st.text(max_size=20)


@given(part, part, part, part)
def test_conversation_key_survives_being_a_string(platform: str, workspace: str, chat: str, thread: str) -> None:
    """A key parsed from its string equals the original, for any parts."""
    key = ConversationKey(platform=platform, workspace=workspace, chat=chat, thread=thread)
    assert ConversationKey.parse(str(key)) == key


def test_keys_with_slashes_do_not_collide() -> None:
    """Keys whose parts contain slashes stay distinct."""
    one = ConversationKey(platform="p", workspace="w", chat="a/b", thread="")
    two = ConversationKey(platform="p", workspace="w", chat="a", thread="b")
    assert str(one) != str(two)


@given(part, part, part)
def test_person_survives_being_a_string(platform: str, workspace: str, identity: str) -> None:
    """A person read back from the string is the same person."""
    person = Person(platform=platform, workspace=workspace, id=identity)
    assert Person.parse(str(person)) == person
