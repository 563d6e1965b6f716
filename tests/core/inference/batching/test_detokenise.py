"""Incremental detokenisation: whole characters, and nothing of a stop string."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from core.inference.batching.detokenise import Detokeniser

TEXT = st.text(st.characters(codec="utf-8") | st.sampled_from("👩‍👧🤗你好ab\n"), max_size=30)


def pieces(data: bytes, cuts: list[int], stops: tuple[str, ...] = ()) -> tuple[list[str], Detokeniser]:
    """The pieces of text shown for bytes that are cut into tokens."""
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
    """For any cut of a text into tokens, the pieces add up to the text and consist of whole characters."""
    shown, _ = pieces(text.encode(), cuts)
    assert "".join(shown) == text
    assert "\ufffd" in text or all("\ufffd" not in piece for piece in shown)


def test_an_emoji_in_four_tokens_is_shown_once() -> None:
    """An emoji of four tokens is shown with the last one."""
    stream = Detokeniser()
    assert [stream.feed(bytes([byte])) for byte in "🤗".encode()] == ["", "", "", "🤗"]


def test_an_incomplete_character_at_the_end_is_dropped() -> None:
    """A reply cut inside an emoji ends before it."""
    shown, _ = pieces("hi 🤗".encode()[:-1], [])
    assert "".join(shown) == "hi "


def test_invalid_bytes_are_replaced() -> None:
    """Bytes that are not UTF-8 are shown as U+FFFD, so that later text is not held back for ever."""
    assert Detokeniser().feed(b"a\xffb") == "a\ufffdb"


@given(TEXT, TEXT.filter(bool), TEXT, st.lists(st.integers(0, 300)))
def test_nothing_of_a_stop_string_is_shown(before: str, stop: str, after: str, cuts: list[int]) -> None:
    """For any cut, the shown text ends before the first stop string."""
    text = before + stop + after
    shown, stream = pieces(text.encode(), cuts, (stop,))
    assert stream.stopped
    assert "".join(shown) == text[: text.index(stop)]


@given(TEXT, TEXT.filter(bool), st.lists(st.integers(0, 200)))
def test_text_held_back_for_a_stop_is_shown_in_the_end(text: str, stop: str, cuts: list[int]) -> None:
    """If the stop string never completes, no text is lost."""
    if stop not in text:
        shown, stream = pieces(text.encode(), cuts, (stop,))
        assert not stream.stopped
        assert "".join(shown) == text


def test_the_earliest_of_several_stops_counts() -> None:
    """Of two stop strings in one token, the earlier one ends the reply."""
    shown, _ = pieces(b"one two three", [], ("three", "two"))
    assert "".join(shown) == "one "
