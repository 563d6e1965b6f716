"""Prints what Parley needs without torch and transformers, which only models of other families run on.

`python deploy/requirements.py documents semantic > requirements.txt` adds these extras. The list is that of
pyproject.toml, which is named here nowhere else, so it cannot grow old.
"""

import re
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

LEFT_OUT = {"torch", "transformers"}
NAME = re.compile(r"[A-Za-z0-9._-]+")
PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"


def requirements(extras: Sequence[str]) -> Iterator[str]:
    """The requirements of Parley and these extras. Raises KeyError for an unknown extra."""
    project = tomllib.loads(PYPROJECT.read_text("utf-8"))["project"]
    groups = (project["dependencies"], *(project["optional-dependencies"][extra] for extra in extras))
    for requirement in (requirement for group in groups for requirement in group):
        name = NAME.match(requirement)
        if name and name[0].lower() not in LEFT_OUT:
            yield requirement


if __name__ == "__main__":
    try:
        print(*requirements(sys.argv[1:]), sep="\n")
    except KeyError as error:
        sys.exit(f"there is no extra {error}")
