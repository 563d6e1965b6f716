"""The personas of the corpus: the one the product ships, and other wordings of it."""

import tomllib
from pathlib import Path

from core.prompt import Persona

HERE = Path(__file__).parent
SHIPPED = HERE.parent / "config" / "personas" / "parley.toml"


def read_personas() -> tuple[Persona, ...]:
    """The shipped persona first, then the paraphrases."""
    shipped = tomllib.loads(SHIPPED.read_text("utf-8"))
    others = tomllib.loads((HERE / "personas.toml").read_text("utf-8"))["persona"]
    return tuple(Persona(name="parley", system={"en": said["en"], "zh": said["zh"]}) for said in (shipped, *others))
