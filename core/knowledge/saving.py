"""An index in one file, so that a start need not embed thousands of texts again."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from core.knowledge.index import Field, Index
from core.knowledge.lexicon import Lexicon
from core.knowledge.passages import Passage

ARRAYS = ("starts", "texts", "weights", "idf", "information")


def save_index(index: Index, path: Path) -> None:
    """Replace the file at once, so that it is whole at any moment."""
    fields = (("wordings", index.wordings), ("bodies", index.bodies))
    about = {
        "version": index.version,
        "passages": [asdict(passage) for passage in index.passages],
        "vocabularies": {
            key: list(lexicon.vocabulary) for name, field in fields for key, lexicon in _lexicons(name, field)
        },
    }
    arrays: dict[str, npt.NDArray[Any]] = {"about": np.frombuffer(json.dumps(about).encode(), np.uint8)}
    for name, field in fields:
        arrays |= {f"{name}.owners": field.owners, f"{name}.vectors": field.vectors}
        for key, lexicon in _lexicons(name, field):
            arrays |= {f"{key}.{array}": getattr(lexicon, array) for array in ARRAYS}
    part = path.with_name(f".{path.name}.{os.getpid()}")
    with part.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
    part.replace(path)


def load_index(path: Path, version: str) -> Index | None:
    """The index of that version; None if the file holds another one, is damaged or does not exist."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            about = json.loads(arrays["about"].tobytes())
            if about["version"] != version:
                return None
            return Index(
                version=version,
                passages=tuple(
                    Passage(**{**passage, "wordings": tuple(passage["wordings"])}) for passage in about["passages"]
                ),
                wordings=_field("wordings", arrays, about["vocabularies"]),
                bodies=_field("bodies", arrays, about["vocabularies"]),
            )
    except (OSError, EOFError, ValueError, KeyError, TypeError, BadZipFile):
        return None


def _lexicons(name: str, field: Field) -> tuple[tuple[str, Lexicon], ...]:
    return (f"{name}.words", field.words), (f"{name}.grams", field.grams)


def _field(name: str, arrays: Mapping[str, npt.NDArray[Any]], vocabularies: Mapping[str, list[str]]) -> Field:
    words, grams = (
        Lexicon(
            vocabulary={term: number for number, term in enumerate(vocabularies[key])},
            **{array: arrays[f"{key}.{array}"] for array in ARRAYS},
        )
        for key in (f"{name}.words", f"{name}.grams")
    )
    return Field(owners=arrays[f"{name}.owners"], words=words, grams=grams, vectors=arrays[f"{name}.vectors"])
