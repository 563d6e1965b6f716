"""Language of a text by its script, as the product detected it when the shipped model was trained.

The corpus depends on it. The product's present detection, `core.language`, leaves more texts undecided and would give
another corpus.
"""

import re

from core.messages import Locale

HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]")
LATIN = re.compile(r"[A-Za-z]+")


def language_by_script(text: str) -> Locale | None:
    """Chinese if the text has at least as many Han characters as Latin words, else English; None if it has neither."""
    han, latin = len(HAN.findall(text)), len(LATIN.findall(text))
    if not han and not latin:
        return None
    return "zh" if han >= latin else "en"
