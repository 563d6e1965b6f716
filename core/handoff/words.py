"""Words of hand-offs: what asks for a person, and what operators are shown."""

import re
from collections.abc import Iterable, Iterator, Sequence

import sqlalchemy as sa

from core.i18n import say
from core.knowledge.terms import folded
from core.messages import Label, Locale, Media, Person, Quote
from core.mood import EMOJI
from core.parts import quoted
from core.text import shortened

ASKS = re.compile(
    r"""(?:(?:please|hi|hello|ok|okay|no|yes)\ )*
    (?:
        (?:(?:i\ want|i\ need|i\ would\ like|i'd\ like|i\ wish|can\ i
            |may\ i|could\ i|let\ me|is\ it\ possible)\ (?:to\ )?)?
        (?:speak\ (?:to|with)|talk\ (?:to|with)|chat\ with|be\ connected\ (?:to|with)|reach|contact)
        |(?:(?:can|could)\ you\ |please\ )?(?:connect|transfer|put|pass)\ me\ (?:through\ )?(?:to|with|on\ to)
        |(?:get|give|find)\ me
    )\ (?:an?\ |the\ |your\ |some\ )?(?:real\ |live\ |human\ |actual\ )*
    (?:human(?:\ being)?|person|operator|agent|representative|rep|someone|somebody|employee|staff|staff\ member|manager
        |colleague|team|support|customer\ (?:service|support|care))
    (?:\ (?:agent|team|here|in\ person|from\ your\ team|who\ is\ human|real|please|now|instead|about\ [^\n]*))*
    |(?:(?:i\ want|i\ need|i\ would\ like|i'd\ like)\ )?(?:an?\ |the\ )?(?:real\ |live\ |human\ )*
    (?:human|human\ being|person|operator|agent|representative|customer\ (?:service|support))(?:\ (?:please|now))*
    |(?:\ |请问?|麻烦|你好|您好|帮我|给我|我要|我想|我想要|我需要|我|能不能|可不可以|可以|能|有没有|有)*
    (?:转接|转|找|联系|接|叫|要|换|跟|和)?(?:一下|个|一个|一位)?(?:你们的?)?
    (?:人工|人工客服|人工服务|真人|真人客服|客服|客服人员|在线客服|工作人员)
    (?:说话|说|聊聊|聊|谈谈|谈|沟通|处理)?(?:谢谢|好吗|可以吗|吗|吧|呢|一下|\ )*""",
    re.IGNORECASE | re.VERBOSE,
)
"""A message that asks for a person and says nothing else. Others may use /human."""
MENTIONS = re.compile(
    r"\b(?:humans?|person|people|agent|operator|rep|representative|someone|somebody|anyone|anybody|employees?|staff"
    r"|colleagues?|manager|supervisor|team|support|customer\ (?:service|care)|specialist)\b"
    r"|人工|真人|客服|坐席|座席|员工|同事|经理|主管|人员|专人|店员|负责人|有人|的人|人[跟和来]",
    re.IGNORECASE,
)
"""Words without which a message hardly asks for a person, in whatever way."""
AGREES = re.compile(
    r"(?:(?:yes|yeah|yep|sure|ok|okay)\ ?)*(?:please|please\ do|do\ it)?"
    r"|(?:是|是的|好|好的|好吧|好啊|行|可以|嗯|嗯嗯|要|对|对的|需要)\ ?(?:请|谢谢|麻烦了|麻烦你了|麻烦您了|吧)?",
    re.IGNORECASE,
)
"""A yes to "Shall I ask a person?"."""
MARKS = re.compile(r"[^\w']+")
LONGEST_WISH = 300
"""Characters of a message whose intent is read."""
LONGEST_REQUEST = 80
"""Characters of such a message."""
MAX_LINE = 300
"""Characters of a message in the last lines that operators are shown."""


def asks_for_a_person(text: str) -> bool:
    """Whether a message says that its sender wants to talk to a person, and nothing else."""
    return ASKS.fullmatch(_request(text)) is not None


def mentions_a_person(text: str) -> bool:
    """Whether a message may ask for a person, so that it is worth its cost to have the model read its intent."""
    return len(text) <= LONGEST_WISH and MENTIONS.search(folded(text)) is not None


def agrees(text: str) -> bool:
    """Whether a message is a yes."""
    return _request(text) != "" and AGREES.fullmatch(_request(text)) is not None


def _request(text: str) -> str:
    """The words of a short message with a space between them; empty if it is longer than a request."""
    return "" if len(text) > LONGEST_REQUEST else " ".join(MARKS.sub(" ", text.replace("’", "'")).split())


def passed_on(text: str, quotes: Sequence[Quote], media: Sequence[Media], locale: Locale) -> str:
    """A message as the person at the other end reads it. What it holds besides words is named."""
    things = say(locale, "parts.comma").join(say(locale, f"media.{kind}") for kind in media)
    named = say(locale, "handoff.media", things=things) if things else ""
    return "\n\n".join(filter(None, (*quoted(quotes, locale), text, named)))


def summary(said: Sequence[sa.Row[tuple[object, ...]]], person: Person, language: Locale, locale: Locale) -> str:
    """What operators see first: who asks, in which language and mood, and the last lines."""
    moods = [row.mood_label for row in said if row.mood_label]
    mood = f"{say(locale, f'mood.{moods[-1]}')} {EMOJI[Label(moods[-1])]}" if moods else say(locale, "mood.unknown")
    spoken = say(locale, f"language.{language}")
    return "\n".join(
        [say(locale, "handoff.summary", person=person.name, language=spoken, mood=mood), *lines(said, locale)]
    )


def lines(said: Iterable[sa.Row[tuple[object, ...]]], locale: Locale) -> Iterator[str]:
    """The messages of turns and their answers, a line each."""
    for row in said:
        yield say(locale, "handoff.line", words=_short(row.text))
        if row.reply:
            yield say(locale, "handoff.bot_line", words=_short(row.reply))


def _short(text: str) -> str:
    return shortened(" ".join(text.split()), MAX_LINE)
