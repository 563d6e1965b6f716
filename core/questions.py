"""Which texts ask the same question, and which questions can be understood alone. The answer cache relies on both."""

import re
import unicodedata

LEANS = re.compile(
    r"""^\W*(and|but|so|or|then|also|why|really|what\ about|how\ about|go\ on)\b
    | \b(it|its|that|this|these|those|they|them|their|he|she|him|his|her|ones?|there|again|same|other|another|both
        |else|more|instead|above|previous|before|earlier|last|next|first|second|third|former|latter|continue)\b
    | [它他她这那哪]|其中|另外|还有|刚才|上面|前面|之前|以前|再|继续|第[一二三]|别的|其他
    | ^(然后|所以|但是|而且|为什么|那|还|也)|呢\W*$""",
    re.IGNORECASE | re.VERBOSE,
)
"""Words that point at what was said."""
PERSONAL = re.compile(
    r"""\b(me|my|mine|i'm|im|am\ i|did\ i|remember|said|say|told|tell|mean|meant)\b|我的|我叫|我是|我说|记得|说过""",
    re.IGNORECASE | re.VERBOSE,
)
"""Words of a question whose answer may depend on who asks, and on what they have told."""
WORDS = re.compile(r"[\u3400-\u9fff]|\w+")
MIN_WORDS = 3
"""A shorter text ("why?", "yes please") is taken for a follow-up."""

FULL_WIDTH = {ordinal: ordinal - 0xFEE0 for ordinal in range(0xFF01, 0xFF5F)} | {0x3000: " ", ord("。"): "."}
"""The forms of ASCII characters that Chinese input methods write."""
LITERAL = re.compile(r"""[\n\t"'`“”‘’]""")
"""Marks of a text in which the number of spaces may matter, such as code or a quotation."""
OPENING = re.compile(r"^(?:What|When|Where|Who|Which|Why|How|Can|Could|Do|Does|Did|Is|Are|Should|Would|Hello|Please)\b")
"""Words that mean the same with a small letter. "Turkey" and "turkey" do not."""
QUESTION = re.compile(
    r"""^(?:when|where|who|which|why|what('s|\ (is|are|do|does|did|can|time)))\b
    | ^how\ (do|does|did|can|is|are|many|much|long|far)\b
    | ^(?:can|could|does|did|is|are|do\ (you|i|we|they))\b
    | 吗\?*$ | 几点 | 多少钱""",
    re.VERBOSE,
)
"""A question also without its question mark. "You like dogs" is none, and neither is "What a day"."""
CLOSED = re.compile(r"\w[.?]$")


def same_question(text: str) -> str:
    """A form of the text that is equal for texts that ask the same question.

    Width, spaces, the capital of a first question word, and a closing mark without meaning are not kept. All other
    differences are: 5² is not 52, US is not us, and "You like dogs." is no question.
    """
    form = unicodedata.normalize("NFC", text).translate(FULL_WIDTH).strip()
    if not LITERAL.search(form):
        form = " ".join(form.split())
    form = OPENING.sub(lambda word: word[0].lower(), form)
    return form.removesuffix(_idle_mark(form))


def _idle_mark(form: str) -> str:
    """The closing mark without which the text would mean the same; empty if there is none.

    After a space or another mark it is part of the text.
    """
    if not CLOSED.search(form):
        return ""
    return "?" if QUESTION.search(form) else "."


def stands_alone(question: str) -> bool:
    """Whether a question has the same answer for all people, whatever was said before. In doubt it has not."""
    return not leans(question) and not PERSONAL.search(question)


def leans(question: str) -> bool:
    """Whether the topic of a question may be that of the one before. In doubt it is."""
    return len(WORDS.findall(question)) < MIN_WORDS or LEANS.search(question) is not None
