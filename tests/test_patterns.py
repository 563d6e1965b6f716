"""No text, however hostile, keeps a regular expression or a function of texts busy: time grows as the text does."""

import ast
import importlib
import pkgutil
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TypeAlias

import pytest
import regex

import bots
import config
import core
from bots.markdown import FormattedText, Kind, Span, so_far
from bots.markdown.file_names import file_names
from bots.slack import rendering as slack_rendering
from bots.slack.text import plain
from bots.telegram import text as telegram_text
from bots.telegram.opening import opening
from core.commands import parse
from core.language import language_of
from core.questions import same_question, stands_alone
from core.repetition import loop_start
from core.text import clean

Run: TypeAlias = Callable[[str], object]
SMALL, LARGE = 4_096, 16_384
MOST_GROWTH = 9
"""Four times the text takes four times as long if the time is linear, and 16 times if it is quadratic."""
NOTHING = 0.005
"""CPU seconds that are too few to be compared. A quadratic pattern that takes less needs 80 ms for 64 KB."""
ROOT = Path(__file__).parent.parent
FOLDERS = (bots, core, config)
COMMON = [
    *(
        " ",
        "\n",
        "\t",
        "a",
        "1",
        "_",
        "-",
        ".",
        "é",
        "好",
        "🎉",
        "\u0301",
        "x",
        "/",
        ":",
        "ab ",
        "a.",
        "a-",
        "a_b",
        "ha",
    ),
    *(
        "<@",
        "<@U1",
        "<@U1|",
        "<a|",
        "[",
        "](",
        "[a](",
        "![",
        "[a](b",
        "$$",
        "$a",
        "\\[",
        "\\(",
        "\\begin{a}",
        "```",
        "`a",
    ),
    *("**a", "_a", "__a", "~~", " |", "|a", "\n|", "|-", "http://", "://a", "www.a.", "a@b.", "a@", ":a:", "a:", "-\n"),
    *(
        "> ",
        "&lt;",
        "a,",
        '"',
        "'a",
        ".'",
        "\n ",
        "1.",
        "(a)",
        "(",
        "((",
        "<!",
        "{%",
        "{%- ",
        "is ",
        "# ",
        "- a\n",
        "```\n",
    ),
]
"""What is repeated in a hostile text, beside the characters of the pattern itself."""


def hostile(units: list[str], size: int) -> Iterator[str]:
    """Each unit repeated, alone and before something that it does not lead up to."""
    for unit in dict.fromkeys(units):
        text = (unit * (size // len(unit) + 1))[:size]
        yield from (text, f"{text}\x00", f"x{text}!")


def cpu_seconds(run: Run, text: str) -> float:
    """The shortest of three: what else the machine does only adds to it."""
    return min(_once(run, text) for _ in range(3))


def _once(run: Run, text: str) -> float:
    begun = time.process_time()
    run(text)
    return time.process_time() - begun


def slow_texts(run: Run, units: list[str]) -> dict[str, float]:
    """How much longer a text takes that is four times as long, for each text whose time is not linear."""
    found = {}
    for small, large in zip(hostile(units, SMALL), hostile(units, LARGE), strict=True):
        if (first := _once(run, large)) >= NOTHING and first > MOST_GROWTH * (least := cpu_seconds(run, small)):
            growth = cpu_seconds(run, large) / least
            if growth > MOST_GROWTH:
                found[f"{small[:6]!r} ... {small[-6:]!r}"] = growth
    return found


def modules() -> Iterator[str]:
    for package in FOLDERS:
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not found.name.endswith(("__main__", ".generic")) and ".migrations" not in found.name:
                yield found.name


@cache
def patterns() -> dict[str, "re.Pattern[str] | regex.Pattern[str]"]:
    """The compiled patterns of our modules, by the names that they have there."""
    return {
        f"{module}.{name}": value
        for module in modules()
        for name, value in vars(importlib.import_module(module)).items()
        if isinstance(value, re.Pattern | regex.Pattern) and isinstance(value.pattern, str)
    }


@cache
def methods() -> dict[str, set[str]]:
    """The methods that are called on each name in the code, such as "match" on "TOKEN"."""
    called = defaultdict(set)
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute):
                called[node.value.id if isinstance(node.value, ast.Name) else node.value.attr].add(node.attr)
    return called


def sources() -> Iterator[Path]:
    for package in FOLDERS:
        yield from (ROOT / package.__name__).rglob("*.py")


WAYS: dict[str, Callable[["re.Pattern[str] | regex.Pattern[str]"], Run]] = {
    "search": lambda pattern: pattern.search,
    "match": lambda pattern: pattern.match,
    "fullmatch": lambda pattern: pattern.fullmatch,
    "finditer": lambda pattern: lambda text: sum(1 for _ in pattern.finditer(text)),
}
SAME_AS_FINDITER = {"sub", "subn", "findall", "split", "finditer"}


def ways(name: str) -> set[str]:
    """The ways in which a pattern is used; all of them if the code does not say."""
    used = methods()[name.rpartition(".")[2]]
    found = {way for way in WAYS if way in used} | {"finditer" for _ in used & SAME_AS_FINDITER}
    return found or set(WAYS)


@pytest.mark.parametrize("name", patterns())
def test_a_pattern_takes_linear_time(name: str) -> None:
    """Each pattern, used as in the code, takes as much longer as a hostile text is longer."""
    pattern = patterns()[name]
    letters = re.sub(r"\\[a-zA-Z]|\\[uU]\w+", "", pattern.pattern)
    units = [*COMMON, *(char for char in dict.fromkeys(letters) if char.isprintable())][: len(COMMON) + 30]
    assert {way: bad for way in ways(name) if (bad := slow_texts(WAYS[way](pattern), units))} == {}


KNOWN = {
    "bots/slack/text.py:plain",  # these two are tested as functions below
    "core/commands.py:parse",
    "core/labels.py:without_demands",  # one character
    "core/language.py:locale_of_tag",
    "core/stages/quotes.py:_letters",
    "core/keywords.py:_whole",  # a phrase, without repetition
    "core/labels.py:_demand",  # stems of our prompts
    "core/inference/tokens/vocabulary.py:split",  # names of the model's tokens
    "core/apologies.py:_kind",  # names of our classes
    "config/access.py:_checked",  # the operator's settings
    "config/personas.py:_find",
}


def test_patterns_are_constants_of_modules() -> None:
    """No pattern is compiled in a function, where the test above would not find it, but for these."""
    assert set(compiling_functions()) == KNOWN


def compiling_functions() -> Iterator[str]:
    for path in sources():
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and any(map(compiles, ast.walk(function))):
                yield f"{path.relative_to(ROOT)}:{function.name}"


def compiles(node: ast.AST) -> bool:
    """Whether this is a call such as `re.sub`."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="re" | "regex"), attr=attr)):
            return attr != "escape"
    return False


FUNCTIONS: dict[str, Run] = {
    "clean": clean,
    "plain": lambda text: plain(text, "U1"),
    "parse": parse,
    "language_of": language_of,
    "same_question": same_question,
    "stands_alone": stands_alone,
    "loop_start": loop_start,
    "opening": opening,
    "file_names": lambda text: list(file_names(text, 0, len(text))),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_of_texts_takes_linear_time(name: str) -> None:
    """What is done to a whole message takes as much longer as the message is longer."""
    assert slow_texts(FUNCTIONS[name], COMMON) == {}


SPLIT_GROWTH = 20
MOST_SECONDS = 0.25
"""CPU seconds for 64 KB. The slowest pattern needs 0.05 to 0.08 on a slow core, a quadratic one seconds."""


@pytest.mark.long
@pytest.mark.parametrize("name", patterns())
def test_a_pattern_is_quick_with_64_kb(name: str) -> None:
    """No pattern, used as in the code, takes long for 64 KB of hostile text."""
    pattern = patterns()[name]
    for way in ways(name):
        for text in hostile([*COMMON, *dict.fromkeys(pattern.pattern)], 1 << 16):
            assert (
                _once(WAYS[way](pattern), text) < MOST_SECONDS or cpu_seconds(WAYS[way](pattern), text) < MOST_SECONDS
            )


def with_code(count: int) -> FormattedText:
    """A text of words that are code."""
    spans = tuple(Span(start=4 * number, end=4 * number + 3, kind=Kind.CODE) for number in range(count))
    return FormattedText(text="abc " * count, spans=spans)


def test_an_answer_is_split_in_linear_time() -> None:
    """Eight times the spans take eight times as long to split, not 64 times: a part looks at its own spans only."""

    def seconds(count: int) -> float:
        whole = with_code(count)
        return cpu_seconds(lambda _: telegram_text.split(whole), "")

    assert seconds(4000) / seconds(500) < SPLIT_GROWTH


@pytest.mark.parametrize("run", [slack_rendering.from_markdown, telegram_text.from_markdown, so_far])
@pytest.mark.parametrize("unit", [" ", "_", "*", "~", "`", "[", "\\[", "$", "!", "?", "|", "__a", "http://a."])
def test_an_answer_is_laid_out_in_linear_time(run: Run, unit: str) -> None:
    """An answer that repeats what may begin a format takes as much longer as it is longer."""
    assert slow_texts(run, [unit]) == {}
