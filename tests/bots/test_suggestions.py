"""Questions that a refusal suggests, and their buttons on both platforms."""

from pathlib import Path
from typing import Self

import pytest

from core.engine.scripted import ScriptedEngine
from core.intent import Intent, IntentReader
from core.knowledge.passages import Findings, Match, Passage, Thresholds
from core.messages import Locale
from core.stages.knowledge import Expertise
from tests.bots.desk import CUE, Platform, open_house
from tests.fakes.slack.client import FakeSlack
from tests.fakes.telegram.control import Account

BARS = Thresholds(answer=0.8, ground=0.5, suggest=0.1)
ANSWERS = {"When do you open?": "At nine.", "When do you close?": "At six."}


class Hours:
    """Knows two answers, and is sure of one if its question is asked in its own words."""

    version = "1"

    async def search(self, question: str, *, language: Locale) -> Findings:
        matches = [
            Match(
                passage=Passage(
                    id=heading, entry=heading, language=language, text=text, file="a", heading=heading, is_answer=True
                ),
                score=1.0 if heading == question else 0.2,
                thresholds=BARS,
                coverage=0.0,
            )
            for heading, text in ANSWERS.items()
        ]
        found = tuple(sorted(matches, key=lambda match: -match.score))
        return Findings(question=question, matches=found, version=self.version)

    async def with_passage(self, passage: Passage) -> Self:
        raise AssertionError(passage)


@pytest.mark.parametrize("platform", ["telegram", "slack"])
async def test_a_suggestion_is_picked_by_button_and_by_number(
    account: Account, slack: FakeSlack, platform: Platform
) -> None:
    """The refusal has a button for each suggested question and for a person; its number can be typed too."""
    engine = ScriptedEngine.fixed()
    engine.intent = lambda _: Intent.QUESTION
    expertise = Expertise(knowledge=Hours(), folder=Path(), intents=IntentReader(engine), strict=True)
    async with open_house(account, slack, platform, platform, engine=engine, expertise=expertise) as house:
        await house.customer.say(CUE, "opening times?")
        refusal = await house.customer.until_shown("I do not know that for certain.", at_desk=False)
        assert "1. When do you open?\n2. When do you close?" in refusal.text
        assert len(refusal.buttons) == 3
        await house.customer.press(CUE, refusal, "second")
        await house.customer.until_shown("At six.", at_desk=False)
        await house.customer.say(CUE, "and opening?")
        await house.customer.until(lambda all_: sum("for certain" in one.text for one in all_) == 2, at_desk=False)
        await house.customer.say(CUE, "1")
        await house.customer.until_shown("At nine.", at_desk=False)
        assert not engine.prompts
