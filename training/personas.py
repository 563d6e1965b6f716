"""Personas of the corpus: the one that the product ships, and paraphrases of it."""

import tomllib
from pathlib import Path

from core.prompt import Persona

HERE = Path(__file__).parent
SHIPPED = HERE.parent / "config" / "personas" / "parley.toml"


def read_personas() -> tuple[Persona, ...]:
    """The shipped persona, followed by the paraphrases."""
    shipped = tomllib.loads(SHIPPED.read_text("utf-8"))
    others = tomllib.loads((HERE / "personas.toml").read_text("utf-8"))["persona"]
    return tuple(
        Persona(name="parley", system={"en": persona["en"], "zh": persona["zh"]}) for persona in (shipped, *others)
    )
