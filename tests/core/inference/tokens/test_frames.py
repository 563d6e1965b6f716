"""What a template writes around texts and strips from them, learned by rendering marks."""

from collections.abc import Mapping
from datetime import date

import pytest

from core.errors import RolesRefused
from core.inference.tokens.frames import Frames, Trim, learn_frames
from core.inference.tokens.rendering import open_template
from tests.core.inference.tokens.families import vocabulary

TODAY = date(2026, 3, 1)
NOTHING, ALL, LINE_BREAKS = "", None, "\n"
FILTERS: Mapping[str, Trim] = {
    "": Trim(left=NOTHING, right=NOTHING),
    " | trim": Trim(left=ALL, right=ALL),
    ".lstrip()": Trim(left=ALL, right=NOTHING),
    ".rstrip()": Trim(left=NOTHING, right=ALL),
    ".strip('\\n')": Trim(left=LINE_BREAKS, right=LINE_BREAKS),
    ".lstrip('\\n').rstrip()": Trim(left=LINE_BREAKS, right=ALL),
}


def learn(source: str, *roles: str) -> Frames:
    return learn_frames(open_template(source, {}, "x"), vocabulary("smollm2"), roles, TODAY)


@pytest.mark.parametrize("stripping", FILTERS)
@pytest.mark.parametrize("gap", ["", "|", "\\n\\n"])
def test_what_is_stripped_is_learned(stripping: str, gap: str) -> None:
    """Each message's own trimming is found, whatever is written between messages."""
    first, second = "(messages[0].content)", "(messages[1].content)"
    source = f"{{{{ '<' + {first}{stripping} + '{gap}' + {second} + '>' }}}}"
    frames = learn(source, "user", "user")
    assert frames.trims == (FILTERS[stripping], FILTERS[""])
    assert [*frames.openings[0], *frames.openings[2]] == ["<", ">"]


@pytest.mark.parametrize("text", ["\n a \n", " \n ", "a", "", "\n\n", " a\n"])
@pytest.mark.parametrize("stripping", FILTERS)
def test_texts_are_stripped_as_the_template_does(stripping: str, text: str) -> None:
    """Frames around any text read as the template's rendering of it."""
    source = f"{{{{ '[' + (messages[0].content){stripping} + ']' }}}}"
    rendered = open_template(source, {}, "x")(["user"], [text], TODAY)
    assert "".join(map(str, learn(source, "user").around([text]))) == rendered


def test_frames_depend_on_the_position() -> None:
    """The same role may be written differently in another place, and the beginning can be built alone."""
    source = "{% for m in messages %}{{ loop.index }}<|im_start|>{{ m.content }}{% endfor %}?"
    frames, [start] = learn(source, "user", "user"), vocabulary("smollm2").split("<|im_start|>")
    assert frames.openings == (("1", start), ("2", start), ("?",))
    assert frames.around(["a"]) == ["1", start, "a", "2", start]
    assert frames.around(["a", "b"]) == ["1", start, "a", "2", start, "b", "?"]


@pytest.mark.parametrize(
    "source",
    [
        "{{ messages[0].content }}",
        "{{ messages[1].content }}{{ messages[0].content }}",
        "{{ messages[0].content }}{{ messages[0].content }}{{ messages[1].content }}",
        "{{ messages[0].content }}{{ messages[1].content | title }}",
        "{{ messages[0].content | length }}{{ messages[0].content }}{{ messages[1].content }}",
        "{{ messages[0].content.endswith('\\n') }}{{ messages[0].content }}{{ messages[1].content }}",
        "{{ messages[0].content }}{{ messages[1].content }}{{ messages[1].content.startswith('\\n') }}",
    ],
)
def test_a_template_that_rewrites_texts_has_no_frames(source: str) -> None:
    """Dropped, swapped, repeated and changed texts, and frames that depend on a text, raise RolesRefused."""
    with pytest.raises(RolesRefused, match="rewrites the texts of user, assistant"):
        learn(source, "user", "assistant")
