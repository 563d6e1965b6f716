from hypothesis import given
from hypothesis import strategies as st

from core.text import CUT, clean, shortened, size_in_bytes


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


def test_the_middle_of_a_long_text_gives_way() -> None:
    """A long text keeps its beginning and its end, with a mark between them; a short one is unchanged."""
    text = "a" * 50 + "b" * 50
    short = shortened(text, 40)
    assert short == "a" * 17 + f" {CUT} " + "b" * 17
    assert len(short) <= 40
    assert shortened(text, 100) == text
    assert shortened(text, 12) == shortened(text, 0) == CUT
