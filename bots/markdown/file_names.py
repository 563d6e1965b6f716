"""Bare names of files, such as "setup.py" and "docs/README.md", which look like addresses and are none."""

import re
from collections.abc import Iterator

DOMAINS = "py|md|rs|sh|pl|zip|mov"
"""Endings of files that are top-level domains too. Only a name with one dot is taken for a file, since an answer could
be made to carry a person's words in the other labels of a host name.
"""
OTHERS = (
    "js|jsx|ts|tsx|mjs|cjs|json|yaml|yml|toml|ini|cfg|conf|env|txt|rst|tex|csv|tsv|log|lock|html|htm|css|scss|xml|svg"
    "|png|jpg|jpeg|gif|webp|pdf|docx?|xlsx?|pptx?|cpp|hpp|java|kt|go|rb|php|swift|lua|sql|cs|hs|jl|ipynb|vue|bat|exe|dll"
    "|tar|gz|bak|tmp"
)
NAME = re.compile(
    rf"(?<![\w@.:/?=&#-])(?:\.{{0,2}}/)?(?:[\w-]+/)*\.?"
    rf"(?:[\w-]+\.(?P<domain>{DOMAINS})|[\w-]+(?:\.[\w-]+)*\.(?:{OTHERS}))(?![\w/?#:@-]|\.\w)",
    re.ASCII | re.IGNORECASE,
)


def file_names(text: str, start: int, end: int) -> Iterator[re.Match[str]]:
    """The names of files in a range of a text. Their group "domain" is set if the ending is a top-level domain."""
    return NAME.finditer(text, start, end)
