from hypothesis import given
from hypothesis import strategies as st

from core.text import clean, last_lines, size_in_bytes


@given(st.text(alphabet=st.characters(codec=None)))
def test_clean_text_can_be_stored_and_encoded(text: str) -> None:
    """Cleaned text can be encoded, holds no NUL, and cleaning is idempotent."""
    cleaned = clean(text)
    cleaned.encode("utf-8")
    assert "\x00" not in cleaned
    assert clean(cleaned) == cleaned


def test_clean_keeps_what_people_write() -> None:
    """Emoji with joiners, Chinese, right-to-left text, tabs and line breaks pass unchanged."""
    text = "👩‍👩‍👧 你好\tשלום\nZoë"
    assert clean(text) == text


def test_lone_surrogate_becomes_the_replacement_character() -> None:
    """A lone surrogate, which a database cannot store, is replaced."""
    assert clean("a\ud800b") == "a\ufffdb"


def test_size_counts_lone_surrogates() -> None:
    """The size counts lone surrogates, which cannot be encoded."""
    assert size_in_bytes("é\ud800") == 5


def test_last_lines_are_whole() -> None:
    """Lines are dropped from the start until the rest fits; a line that is too long is dropped as a whole."""
    assert last_lines("one\ntwo\nthree", 9) == "two\nthree"
    assert last_lines("one\nfour", 3) == ""
    assert last_lines("你好\n你", 3) == "你"
