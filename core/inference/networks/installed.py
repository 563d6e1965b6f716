"""Whether torch and transformers are here: an installation without them is smaller, and runs what the kernels run."""

from importlib.util import find_spec

from core.errors import TransformersMissing

NEEDED = ("torch", "transformers")
UNKNOWN_ARCHITECTURE = "the lean decoder does not know its architecture"
"""Reason why a model of another family than Llama's is for transformers."""


def require_transformers(path: str, reason: str) -> None:
    """Raises TransformersMissing if the generic network cannot run the model at `path`.

    `reason` says why the kernels do not run it.
    """
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        absent = " and ".join(missing)
        raise TransformersMissing(
            path, f"{reason}, and {absent} would be needed: install torch and transformers, or take the image `full`"
        )
