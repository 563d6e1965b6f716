from hypothesis import given
from hypothesis import strategies as st

from core.text import clean, last_lines, size_in_bytes


@given(st.text(alphabet=st.characters(codec=None)))
def test_clean_text_can_be_stored_and_encoded(text: str) -> None:
    """Whatever came in, what comes out encodes, holds no NUL, and cleaning it again changes nothing."""
    cleaned = clean(text)
    cleaned.encode("utf-8")
    assert "\x00" not in cleaned
    assert clean(cleaned) == cleaned


def test_clean_keeps_what_people_write() -> None:
    """Emoji with joiners, Chinese, right-to-left text, tabs and line breaks pass unchanged."""
    text = "👩‍👩‍👧 你好\tשלום\nZoë"
    assert clean(text) == text


def test_lone_surrogate_becomes_the_replacement_character() -> None:
    """A lone surrogate, which no database takes, is replaced."""
    assert clean("a\ud800b") == "a\ufffdb"


def test_size_counts_lone_surrogates() -> None:
    """The size of a text that cannot be encoded is still known."""
    assert size_in_bytes("é\ud800") == 5


def test_last_lines_are_whole() -> None:
    """What has no room is left out from the beginning, line by line; a line that is too long is left out whole."""
    assert last_lines("one\ntwo\nthree", 9) == "two\nthree"
    assert last_lines("one\nfour", 3) == ""
    assert last_lines("你好\n你", 3) == "你"
