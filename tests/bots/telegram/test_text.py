"""Formatting and splitting of replies for Telegram."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from telegram import MessageEntity

from bots.markdown import FormattedText
from bots.telegram.text import (
    LIMIT,
    MAX_ENTITIES,
    ending,
    entities,
    from_markdown,
    split,
    units,
    without_mentions,
)
from tests.bots.markdown.sources import sources, words


def seen(whole: FormattedText) -> list[tuple[str, str]]:
    """The entities with the text that each covers."""
    raw = whole.text.encode("utf-16-le")
    return [
        (str(found.type), raw[2 * found.offset : 2 * (found.offset + found.length)].decode("utf-16-le"))
        for found in entities(whole)
    ]


@pytest.mark.parametrize(
    ("markdown", "text", "found"),
    [
        ("plain", "plain", []),
        ("**bold** 你好 *it* ~~no~~", "bold 你好 it no", [("bold", "bold"), ("italic", "it"), ("strikethrough", "no")]),
        ("# Title", "Title", [("bold", "Title")]),
        ("a `b` c", "a b c", [("code", "b")]),
        ("x\n```python\nprint(1)\n```\ny", "x\nprint(1)\ny", [("pre", "print(1)")]),
        ("1. Run:\n   ```\n   x\n   ```\n2. Next", "1. Run:\nx\n2. Next", [("pre", "x")]),
        ("[docs](https://a.example)", "docs", [("text_link", "docs")]),
        ("![a](https://a.example/b.png)", "a", [("text_link", "a")]),
        ("see https://a.example", "see https://a.example", []),
        ("> q\n> r\n\n> s", "q\nr\n\ns", [("blockquote", "q\nr"), ("blockquote", "s")]),
        ("> q\n> > r", "q\n> r", [("blockquote", "q\n> r")]),
        ("| a | b |\n|---|---|\n| 1 | 2 |", "a | b\n--|--\n1 | 2", [("pre", "a | b\n--|--\n1 | 2")]),
        ("**a `b` c**", "a b c", [("bold", "a "), ("code", "b"), ("bold", " c")]),
        ("**`b`**", "b", [("code", "b")]),
        ("[`b`](https://a.example)", "b", [("text_link", "b")]),
        ("***both***", "both", [("italic", "both"), ("bold", "both")]),
        ("half **open and `open", "half **open and `open", []),
        ("```\n```", "…", []),
        ("  ", "…", []),
        ("\u200b", "…", []),
    ],
)
def test_markdown_becomes_entities(markdown: str, text: str, found: list[tuple[str, str]]) -> None:
    """Markdown becomes plain text with the entities that Telegram takes, and "…" if it has no words."""
    whole = from_markdown(markdown)
    assert (whole.text, seen(whole)) == (text, found)


@pytest.mark.parametrize("name", ["setup.py", "README.md", "docs/guide.md", "./run.sh", "lib.rs"])
def test_a_file_name_is_no_link(name: str) -> None:
    """A name that Telegram would take for an address is shown as code, which it does not look for addresses in."""
    assert seen(from_markdown(f"Open {name}, then **{name}**.")) == [("code", name), ("code", name)]


@pytest.mark.parametrize("text", ["Node.js", "a.example", "secret.evil.md", "evil.md/path", "me@a.py", "x.pyz", "3.14"])
def test_what_is_no_file_name_stays(text: str) -> None:
    """Addresses, and names that Telegram takes for none, are not formatted."""
    assert seen(from_markdown(f"see {text} there")) == []


def test_entities_are_counted_in_utf16() -> None:
    """Entities count an emoji as two UTF-16 code units."""
    (entity,) = entities(from_markdown("🎉 `x🎉`"))
    assert (entity.offset, entity.length) == (3, 3)


def test_languages_and_addresses_are_kept() -> None:
    """The language of a code block, by which Telegram highlights, and the address of a link are kept."""
    code, link = entities(from_markdown("```rust\nfn\n```\n[a](https://a.example/?b=1&c=2)"))
    assert (code.language, link.url) == ("rust", "https://a.example/?b=1&c=2")


@pytest.mark.parametrize("size", [1, 4095, 4096, 4097, 8192, 8193, 40_000])
@pytest.mark.parametrize("unit", ["x", "🎉", "你", "word "])
def test_parts_fit_and_nothing_is_lost(size: int, unit: str) -> None:
    """All parts together are the text, at every length around the limit in UTF-16 code units."""
    text = (unit * size).strip()
    parts = split(from_markdown(text))
    assert all(0 < units(part.text) <= LIMIT for part in parts)
    assert "".join(part.text for part in parts).replace(" ", "") == text.replace(" ", "")


def test_no_part_has_too_many_entities() -> None:
    """A text with more than a hundred entities is split, so that none is left out."""
    parts = split(from_markdown("**a** b " * 250))
    assert sum(len(entities(part)) for part in parts) == 250
    assert all(len(entities(part)) <= MAX_ENTITIES for part in parts)


@pytest.mark.parametrize("text", ["@all and (@ann), not a@b.example", "**@all** [@ann](https://a.example)"])
def test_names_are_not_called(text: str) -> None:
    """Names in a reply notify no one in a group; e-mail addresses stay unchanged."""
    before, after = from_markdown(text), without_mentions(from_markdown(text))
    assert after.text.replace("\u2060", "") == before.text
    assert after.text.count("@\u2060") == 2
    assert [kind for kind, _ in seen(after)] == [kind for kind, _ in seen(before)]


def test_code_has_no_names() -> None:
    """Code holds no invisible character, so that it runs when it is copied."""
    whole = from_markdown(
        "```python\n@dataclass\nclass A:\n    x: int\n```\nRun `npm i @types/node`.\n\n|@a|\n|-|\n|@b|"
    )
    assert without_mentions(whole) == whole


def test_the_end_of_a_long_text_fits() -> None:
    """A preview shows the end of a long text, and code in it is code still."""
    whole = ending(from_markdown("so:\n```py\n" + "x = 1\n" * 1000 + "```"))
    assert LIMIT - 10 < units(whole.text) <= LIMIT
    assert seen(whole) == [("pre", whole.text)]


@settings(max_examples=80, deadline=None)
@given(sources, st.integers(8, 60))
def test_any_text_gives_legal_entities(markdown: str, limit: int) -> None:
    """Entities of any part are within it, and nest: code holds nothing, and nothing but a quote holds code."""
    whole = from_markdown(markdown)
    parts = split(whole, limit)
    assert "".join(map(words, parts)) == words(whole)
    for part in parts:
        found = entities(part)
        assert 0 < units(part.text) <= limit
        assert not part.text[0].isspace() or (found and found[0].offset == 0)  # Telegram strips it otherwise
        assert all(0 <= one.offset < one.offset + one.length <= units(part.text) for one in found)
        assert all(first.offset <= second.offset for first, second in pairwise(found))
        assert all(_is_legal(one, other) for at, one in enumerate(found) for other in found[at + 1 :])


def _is_legal(first: MessageEntity, second: MessageEntity) -> bool:
    """Whether two entities do not meet, or the first may hold the second."""
    end = first.offset + first.length
    if second.offset >= end:
        return True
    has_code = {"pre", "code"} & {str(first.type), str(second.type)}
    return second.offset + second.length <= end and (first.type == "blockquote" or not has_code)
