"""No text, however hostile, keeps a regular expression or a function of texts busy: time grows as the text does."""

import ast
import gc
import importlib
import pkgutil
import re
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import FrameType
from typing import TypeAlias

import pytest
import regex

import bots
import config
import core
from bots.markdown import FormattedText, Kind, Span, followed_by, so_far
from bots.markdown.file_names import file_names
from bots.slack import rendering as slack_rendering
from bots.slack.emoji import with_emoji
from bots.slack.text import escaped, plain
from bots.telegram import text as telegram_text
from bots.telegram.opening import opening
from core.commands import parse, personal_command
from core.keywords import keywords_in
from core.language import Languages, language_of
from core.mood import mood_prompts
from core.questions import same_question, stands_alone
from core.repetition import ends_sentence, loop_start
from core.text import clean, shortened

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
        "1. a\n",
        "> a\n",
        "|a|b|\n",
        "<@U1> <@U2> ",
        "_a_",
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
    """CPU seconds without those of the garbage collector, which looks at the objects of all tests."""
    gc.disable()
    try:
        begun = time.process_time()
        run(text)
        return time.process_time() - begun
    finally:
        gc.enable()


def calls(run: Run, text: str) -> int:
    """The number of functions that are called, of Python or of C, once what is kept from the first run is there."""
    run(text)
    count = 0

    def profile(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    sys.setprofile(profile)
    try:
        run(text)
    finally:
        sys.setprofile(None)
    return count


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
    "shortened": lambda text: shortened(text, 1_000),
    "escaped": escaped,
    "with_emoji": with_emoji,
    "personal_command": personal_command,
    "languages": Languages().after,
    "ends_sentence": ends_sentence,
    "keywords_in": lambda text: keywords_in(text, "a, ha, 好, a.b"),
    "without_demands": mood_prompts()["en"].without_demands,
    "opening": opening,
    "file_names": lambda text: list(file_names(text, 0, len(text))),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_of_texts_takes_linear_time(name: str) -> None:
    """What is done to a whole message takes as much longer as the message is longer."""
    assert slow_texts(FUNCTIONS[name], COMMON) == {}


def test_a_row_of_mentions_is_read_once() -> None:
    """What stands for the bot's name among others on Slack is worded once, not anew from all words for each mention."""

    def count(times: int) -> int:
        return calls(FUNCTIONS["plain"], "<@U1> <@U2> hello " * times)

    assert count(200) < 3 * count(100)


LAID_OUT: dict[str, Run] = {
    "so_far": so_far,
    "followed_by": lambda text: followed_by(text, "x"),
    "slack": lambda text: slack_rendering.markdown(slack_rendering.from_markdown(text)),
    "slack, plain": lambda text: slack_rendering.plain(slack_rendering.from_markdown(text)),
    "telegram": telegram_text.from_markdown,
    "telegram, parts": lambda text: telegram_text.split(telegram_text.from_markdown(text)),
    "telegram, end": lambda text: telegram_text.ending(telegram_text.from_markdown(text)),
}
TWICE_AS_LONG = 3
"""What is at most the growth of a linear time with twice the text. A quadratic one grows four times."""


@pytest.mark.long
@pytest.mark.parametrize("name", FUNCTIONS | LAID_OUT)
def test_a_function_of_texts_takes_linear_time_with_64_kb(name: str) -> None:
    """What is done to a message or to an answer of 64 KB takes about twice as long as with half of it."""
    run = (FUNCTIONS | LAID_OUT)[name]
    for unit in COMMON:
        half = unit * ((1 << 15) // len(unit))
        if (whole := _once(run, half * 2)) >= NOTHING and whole > TWICE_AS_LONG * _once(run, half):
            assert cpu_seconds(run, half * 2) < TWICE_AS_LONG * cpu_seconds(run, half), unit


SPLIT_GROWTH = 20
MOST_SECONDS = 0.05
"""CPU seconds for 64 KB. The slowest pattern needs 0.03, a quadratic one seconds."""


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
