"""Files become passages, or the fault is named with file and line."""

import pytest

from core.errors import KnowledgeUnusable
from core.knowledge.documents import LONGEST, TARGET, markdown_sections, text_sections
from core.knowledge.folder import Source
from core.knowledge.readers import MAX_PASSAGES, read_passages

FAQ = """\
[[entry]]
[entry.en]
questions = ["When are you open?", "Opening hours?"]
answer = "From nine to six."
[entry.zh]
questions = ["几点营业？"]
answer = "九点到六点。"
"""


def source(name: str, text: str) -> Source:
    return Source(name=name, content=text.encode())


def test_an_entry_is_an_answer_in_each_of_its_languages() -> None:
    """An entry of a TOML file has a passage for each language, which share their entry."""
    en, zh = read_passages([source("faq.toml", FAQ)])
    assert (en.id, zh.id, en.entry) == ("faq.toml#1.en", "faq.toml#1.zh", zh.entry)
    assert en.wordings == ("When are you open?", "Opening hours?")
    assert (en.text, en.is_answer, zh.language) == ("From nine to six.", True, "zh")


def test_a_csv_file_has_several_wordings_in_a_field() -> None:
    """Wordings in a CSV file are separated by | or a line break, and its byte order mark is no text."""
    text = '\ufeffquestions,answer\r\n"When are you open?|Opening hours?\nHours?",From nine to six.\r\n'
    (passage,) = read_passages([source("faq.csv", text)])
    assert passage.wordings == ("When are you open?", "Opening hours?", "Hours?")
    assert passage.language == "en"


@pytest.mark.parametrize(
    ("name", "text", "line", "reason"),
    [
        ("faq.toml", "[[entry]]\n[entry.en]\nquestions = [\n", None, "is not TOML"),
        ("faq.toml", FAQ + '\n[[entry]]\n[entry.en]\nquestions = ["a b"]\n', 9, "needs questions and answer"),
        ("faq.toml", FAQ.replace('["几点营业？"]', "[]"), 1, "at least one"),
        ("faq.toml", FAQ.replace("zh", "fr"), 1, "language fr"),
        ("faq.csv", "question,text\na,b\n", 1, "needs the columns"),
        ("faq.csv", "questions,answer\nWhen?,Now\nWhere?,\n", 3, "answer should be"),
        ("faq.csv", "questions,answer\nWhen?,Now,what\n", 2, "more fields"),
        ("faq.csv", "entry,language,questions,answer\n1,en,Who?,I\n1,en,Why?,So\n", 3, "has en already"),
    ],
)
def test_a_fault_is_named_with_its_line(name: str, text: str, line: int | None, reason: str) -> None:
    """A fault in a file is an error with the file, its line if that is known, and the reason."""
    with pytest.raises(KnowledgeUnusable, match=reason) as error:
        read_passages([source(name, text)])
    assert (error.value.file, error.value.line) == (name, line)


def test_another_encoding_is_named_with_its_line() -> None:
    """Text that is not UTF-8 is an error that names the first such line."""
    with pytest.raises(KnowledgeUnusable, match="UTF-8") as error:
        read_passages([Source(name="a.txt", content="eins\nzwölf".encode("latin-1"))])
    assert error.value.line == 2


def test_passages_are_limited() -> None:
    """One passage more than the limit is refused."""
    rows = "questions,answer\n" + "When?,Now\n" * (MAX_PASSAGES + 1)
    with pytest.raises(KnowledgeUnusable, match="limit of 10,000"):
        read_passages([source("faq.csv", rows)])


def test_sections_stand_below_their_headings() -> None:
    """A section of Markdown has the path of its headings; a deeper heading ends with its parent."""
    text = "# Shop\n\nHello.\n\n## Returns\n\n30 days.\n\n## Hours\n\nNine.\n\n# Else\n\nMore.\n"
    assert list(markdown_sections(text)) == [
        ("Shop", "Hello."),
        ("Shop > Returns", "30 days."),
        ("Shop > Hours", "Nine."),
        ("Else", "More."),
    ]


def test_comments_are_no_text() -> None:
    """Hidden comments of HTML are left out, also those that never end; in code they are text."""
    text = "Open <!-- secret -->daily.\n\n```\n<!-- code -->\n```\n\n<!-- secret\n\nsecret"
    assert list(markdown_sections(text)) == [("", "Open daily.\n\n```\n<!-- code -->\n```")]


def test_a_long_table_keeps_its_head() -> None:
    """A table that is too long is split between rows, and each part has the names of the columns."""
    rows = "".join(f"| article {number} | {number} |\n" for number in range(200))
    sections = [text for _, text in markdown_sections(f"| name | price |\n|---|---|\n{rows}")]
    assert len(sections) > 1
    assert all(text.startswith("| name | price |\n|---|---|\n| article") for text in sections)


@pytest.mark.parametrize("unit", ["A sentence of some words. ", "一个没有空格的句子。", "x"])
def test_sections_have_a_size_that_a_model_can_read(unit: str) -> None:
    """Text without a structure is split between sentences, or cut if it has none; nothing is lost."""
    text = unit * (5 * TARGET // len(unit))
    sections = [section for _, section in text_sections(text)]
    assert max(map(len, sections)) <= LONGEST
    assert "".join("".join(sections).split()) == "".join(text.split())
