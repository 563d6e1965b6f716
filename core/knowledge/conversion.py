"""Documents of other programs as text, made in a process of its own: a hostile file costs that process, not the bot."""

import os
import subprocess
import sys
from hashlib import sha256
from importlib.util import find_spec
from subprocess import DEVNULL, PIPE
from threading import Lock

from cachetools import LRUCache, cached

from core.errors import KnowledgeUnusable
from core.knowledge.folder import Source

PROGRAM = (sys.executable, "-P", "-m", "core.knowledge.converter")
SECONDS = 300
"""It is limited to a minute on the CPU, but may have to wait for one."""
REFUSED = 3
"""Exit status of a converter whose output is the reason why it refuses the file."""
MOST_KEPT = 16 << 20
"""Characters of converted texts that are kept: a folder is read again for each change, and for each entry taught."""
PARTS = ("pdfminer", "mammoth", "markdownify")
"""What the extra "documents" installs."""


@cached(
    LRUCache(MOST_KEPT, getsizeof=len),
    key=lambda source, suffix: (sha256(source.content).digest(), suffix),
    lock=Lock(),
)
def converted(source: Source, suffix: str) -> str:
    """A PDF, DOCX or HTML document as Markdown. `suffix` says which one it is.

    Raises KnowledgeUnusable.
    """
    if not all(find_spec(part) for part in PARTS):
        raise KnowledgeUnusable(file=source.name, reason="needs the extra: pip install '.[documents]'")
    environment = {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [*PROGRAM, suffix]
    try:
        done = subprocess.run(  # noqa: S603  our own program, without a shell
            command, input=source.content, env=environment, stdout=PIPE, stderr=DEVNULL, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise KnowledgeUnusable(file=source.name, reason="takes too long to read") from error
    text = done.stdout.decode("utf-8", "replace")
    if done.returncode == REFUSED:
        raise KnowledgeUnusable(file=source.name, reason=text)
    if done.returncode:
        raise KnowledgeUnusable(file=source.name, reason="cannot be read: it is damaged, or takes too much work")
    return text
