"""What `parley model pull` needs of a model hub."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol


class Source(StrEnum):
    """A hub, by its name on the command line."""

    HUGGING_FACE = "huggingface"
    MODEL_SCOPE = "modelscope"


ADDRESSES: Mapping[Source, str] = {
    Source.HUGGING_FACE: "https://huggingface.co",
    Source.MODEL_SCOPE: "https://www.modelscope.cn",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HubFile:
    """A file on a hub; `size` in bytes. `sha256` is None if the hub does not know it."""

    name: str
    size: int
    sha256: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Files of a model at one revision."""

    revision: str
    files: Sequence[HubFile]


class Hub(Protocol):
    """A place that models are downloaded from. Both methods raise ModelMissing if it does not serve the model."""

    def list_files(self, model_id: str) -> Listing:
        """All files of a model. Those in folders have a "/" in their names."""

    def download(self, model_id: str, listing: Listing, folder: Path) -> None:
        """Download the listed files that the folder lacks, and continue those that an earlier attempt began."""
