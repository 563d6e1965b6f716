"""Slots in seed texts, and the lists of their values."""

from collections.abc import Mapping
from random import Random

import pytest

from core.messages import Locale
from training.corpus import read_all_seeds
from training.questions import MOOD_SLOTS
from training.seeds import Seeds, parse_slots
from training.slots import INTEGER, MAX_DIGITS, fill, random_integer, slot_names


@pytest.fixture(scope="module")
def seeds() -> Mapping[Locale, Seeds]:
    return read_all_seeds()


def test_values_may_contain_slots() -> None:
    """A slot in a value is filled too."""
    values = {"{task}": "go to {city}", "{city}": "Rome"}
    assert fill("Please {task}!", lambda match: values[match[0]]) == "Please go to Rome!"


def test_a_digit_tells_slots_of_one_list_apart() -> None:
    """Two slots that differ in a digit need the same list; braces of code are no slots."""
    assert slot_names("{city} or {city2}, f() { return x; } {}") == {"city"}


def test_a_list_has_values_in_a_line_or_one_per_line() -> None:
    """Commas separate values after a colon; a value after a dash keeps its commas and may have line breaks."""
    lines = ["city: Rome, Lima", "code:", "- f(a, b)", "- x: 1\\ny: 2", "city: 北京，上海"]
    assert parse_slots(iter(lines)) == {"city": ("Rome", "Lima", "北京", "上海"), "code": ("f(a, b)", "x: 1\ny: 2")}


def test_numbers_of_every_length_occur() -> None:
    """Random integers have one digit as well as the most digits."""
    rng = Random(1)
    lengths = {len(random_integer(rng)) for _ in range(200)}
    assert lengths == set(range(1, MAX_DIGITS + 1))


def test_every_slot_of_the_seeds_has_a_list(seeds: Mapping[Locale, Seeds]) -> None:
    """Each slot in a dialogue or a value names a list, and each list is used."""
    for own in seeds.values():
        steps = [step for block in own.blocks for step in block.steps]
        texts = [text for step in steps for text in (*step.questions, *step.answers)]
        values = [value for values in own.slots.values() for value in values]
        used = set().union(*map(slot_names, (*texts, *values)))
        assert used - MOOD_SLOTS.keys() - {INTEGER} == own.slots.keys()
