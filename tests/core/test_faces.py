import pytest

from core.faces import ShowMood, face, is_shown
from core.messages import Label, Mood, Reply, Source

GLAD = Mood(label=Label.POSITIVE, confidence=0.9)


@pytest.mark.parametrize(
    ("show", "labels"),
    [("felt", {Label.POSITIVE, Label.NEGATIVE}), ("always", set(Label)), ("never", set())],
)
def test_moods_that_are_shown(show: ShowMood, labels: set[Label]) -> None:
    """With "felt" all moods but neutral are shown; a mood that is unknown or was not read never is."""
    assert {label for label in Label if is_shown(Mood(label=label, confidence=0.5), show)} == labels
    assert not any(is_shown(Mood(label=label, confidence=0.0), show) for label in Label)
    assert not is_shown(None, show)


@pytest.mark.parametrize(("mood", "show", "shown"), [(GLAD, True, "😊"), (GLAD, False, ""), (None, True, "")])
def test_face_of_a_reply(mood: Mood | None, show: bool, shown: str) -> None:  # noqa: FBT001  a table of facts
    """A reply has the face of its mood if the mood is shown."""
    assert face(Reply(text="hi", source=Source.MODEL, mood=mood, show_mood=show)) == shown


def test_a_mood_is_not_shown_unless_decided() -> None:
    """A reply for which nothing was decided shows no face."""
    assert face(Reply(text="hi", source=Source.MODEL, mood=GLAD)) == ""
