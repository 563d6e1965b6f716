"""Text as it may be shown: whole characters, and never the beginning of a stop string."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from core.inference.batching.detokenise import Detokeniser

TEXT = st.text(st.characters(codec="utf-8") | st.sampled_from("👩‍👧🤗你好ab\n"), max_size=30)


def pieces(data: bytes, cuts: list[int], stops: tuple[str, ...] = ()) -> tuple[list[str], Detokeniser]:
    """What is shown of bytes that arrive cut up."""
    stream = Detokeniser(stops)
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    shown = []
    for start, end in pairwise(places):
        shown.append(stream.feed(data[start:end]))
        if stream.stopped:
            break
    return [*shown, stream.close()], stream


@given(TEXT, st.lists(st.integers(0, 200)))
def test_any_cut_gives_the_same_text(text: str, cuts: list[int]) -> None:
    """However the bytes of a text are cut into tokens, the pieces add up to it and none has half a character."""
    shown, _ = pieces(text.encode(), cuts)
    assert "".join(shown) == text
    assert "\ufffd" in text or all("\ufffd" not in piece for piece in shown)


def test_an_emoji_in_four_tokens_is_shown_once() -> None:
    """Nothing is shown before the last byte of an emoji, and then the whole of it."""
    stream = Detokeniser()
    assert [stream.feed(bytes([byte])) for byte in "🤗".encode()] == ["", "", "", "🤗"]


def test_half_a_character_at_the_end_is_dropped() -> None:
    """A reply cut off inside an emoji ends before it."""
    shown, _ = pieces("hi 🤗".encode()[:-1], [])
    assert "".join(shown) == "hi "


def test_bytes_that_are_no_text_are_replaced() -> None:
    """Bytes that can never become a character are shown as U+FFFD, so that the rest is not held back for ever."""
    assert Detokeniser().feed(b"a\xffb") == "a\ufffdb"


@given(TEXT, TEXT.filter(bool), TEXT, st.lists(st.integers(0, 300)))
def test_nothing_of_a_stop_string_is_shown(before: str, stop: str, after: str, cuts: list[int]) -> None:
    """What is shown is the text up to the first stop string, however it is cut."""
    text = before + stop + after
    shown, stream = pieces(text.encode(), cuts, (stop,))
    assert stream.stopped
    assert "".join(shown) == text[: text.index(stop)]


@given(TEXT, TEXT.filter(bool), st.lists(st.integers(0, 200)))
def test_text_that_only_looked_like_a_stop_is_shown_in_the_end(text: str, stop: str, cuts: list[int]) -> None:
    """Where the stop string never comes, no text is lost."""
    if stop not in text:
        shown, stream = pieces(text.encode(), cuts, (stop,))
        assert not stream.stopped
        assert "".join(shown) == text


def test_the_earliest_of_several_stops_counts() -> None:
    """Of two stop strings in one token, the one that comes first ends the reply."""
    shown, _ = pieces(b"one two three", [], ("three", "two"))
    assert "".join(shown) == "one "
