"""The colours of charts, in a light and a dark scheme. They differ in lightness, for people who do not see hues."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto


class Shade(Enum):
    """What fills a bar, or colours a line."""

    BLUE = auto()
    ORANGE = auto()
    GREEN = auto()
    GREY = auto()
    RED = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """Colours of the card on which a chart lies, of its words and of its lines, and of the shades."""

    card: str
    ink: str
    line: str
    shades: Mapping[Shade, str]


LIGHT = Scheme(
    card="#ffffff",
    ink="#3c4a45",
    line="#cdd7d3",
    shades={
        Shade.BLUE: "#1c3f8f",
        Shade.ORANGE: "#cb8200",
        Shade.GREEN: "#0f7a5a",
        Shade.GREY: "#6f7a76",
        Shade.RED: "#5a0a20",
    },
)
DARK = Scheme(
    card="#1b2321",
    ink="#c3d0ca",
    line="#394642",
    shades={
        Shade.BLUE: "#8db4ff",
        Shade.ORANGE: "#d79a2b",
        Shade.GREEN: "#3f9f7c",
        Shade.GREY: "#76827e",
        Shade.RED: "#ffc2cf",
    },
)


def css(root: str, shades: Sequence[Shade]) -> str:
    """What pygal's own style, which has the light scheme, lacks below the selector `root`: lines between the parts of a
    bar, the dark scheme, and smaller words in a picture that is shown large.
    """
    dark = (*_dark(root, shades), _between(root, DARK))
    return "\n".join(
        (
            _between(root, LIGHT),
            f"@media (prefers-color-scheme: dark) {{ {' '.join(dark)} }}",
            f"@media (min-width: 520px) {{ {root} text {{ font-size: 9px !important }} }}",
        )
    )


def _between(root: str, scheme: Scheme) -> str:
    return f"{root} .bar .rect {{ stroke: {scheme.card}; stroke-width: 0.75 }}"


def _dark(root: str, shades: Sequence[Shade]) -> Iterator[str]:
    yield f"{root} {{ background-color: {DARK.card} }}"
    yield f"{root} .graph > .background, {root} .plot > .background {{ fill: {DARK.card} }}"
    yield f"{root} text {{ fill: {DARK.ink} !important }}"
    yield f"{root} .axis .line {{ stroke: {DARK.line} !important }}"
    for number, shade in enumerate(shades):
        yield f"{root} .color-{number} {{ fill: {DARK.shades[shade]}; stroke: {DARK.shades[shade]} }}"
