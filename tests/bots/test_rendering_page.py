"""The page that shows how answers look."""

from tests.bots.rendering_page import PAGE, page


def test_the_page_is_what_the_code_does() -> None:
    """docs/rendering.md is in step; `python -m tests.bots.rendering_page` writes it anew."""
    assert PAGE.read_text(encoding="utf-8") == page()
