"""ModelScope, by its public HTTP API: `repo/files` lists the files of a model, `repo` returns one."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
from pydantic import BaseModel, Field, ValidationError

from bots.hubs.hub import ADDRESSES, HubFile, Listing, Source
from bots.progress import downloading
from core.errors import ModelMissing
from core.progress import Progress

REVISION: Final = "master"
"""ModelScope's main branch. Files have revisions of their own, the model as a whole has none."""
TIMEOUT: Final = 30.0
CHUNK: Final = 1 << 20


class _Entry(BaseModel):
    path: str = Field(alias="Path")
    type: str = Field(alias="Type")
    size: int = Field(alias="Size", ge=0)
    sha256: str = Field(alias="Sha256", default="")


class _Data(BaseModel):
    files: list[_Entry] = Field(alias="Files")


class _Answer(BaseModel):
    data: _Data = Field(alias="Data")


@dataclass(frozen=True, slots=True)
class ModelScope:
    """A `Hub` at `endpoint`; None is ModelScope itself."""

    endpoint: str | None

    def list_files(self, model_id: str) -> Listing:
        with _errors(model_id), self._client(model_id) as client:
            response = client.get("/files", params={"Revision": REVISION, "Recursive": "true"})
            entries = _Answer.model_validate_json(response.raise_for_status().content).data.files
        files = [HubFile(name=entry.path, size=entry.size, sha256=entry.sha256 or None) for entry in _blobs(entries)]
        return Listing(revision=REVISION, files=files)

    def download(self, model_id: str, listing: Listing, folder: Path) -> None:
        with _errors(model_id), self._client(model_id) as client, downloading() as begin:
            for file in listing.files:
                if not (folder / file.name).exists():
                    _download(client, file, folder, begin(file.name, file.size))

    def _client(self, model_id: str) -> httpx.Client:
        address = f"{(self.endpoint or ADDRESSES[Source.MODEL_SCOPE]).rstrip('/')}/api/v1/models/{model_id}/repo"
        return httpx.Client(base_url=address, timeout=TIMEOUT, follow_redirects=True, headers={"User-Agent": "parley"})


def _blobs(entries: list[_Entry]) -> list[_Entry]:
    return [entry for entry in entries if entry.type == "blob"]


def _download(client: httpx.Client, file: HubFile, folder: Path, progress: Progress) -> None:
    """Download one file, which gets its name once it is complete."""
    part = folder / f"{file.name}.part"
    begun = part.stat().st_size if part.exists() else 0
    with client.stream(
        "GET",
        "",
        params={"Revision": REVISION, "FilePath": file.name},
        headers={"Range": f"bytes={begun}-"} if begun else {},
    ) as response:
        response.raise_for_status()
        continues = response.status_code == httpx.codes.PARTIAL_CONTENT
        chunks = _counted(response, begun if continues else 0, file.size, progress)
        _append(chunks, part, mode="ab" if continues else "wb")
    part.rename(folder / file.name)


def _counted(response: httpx.Response, begun: int, size: int, progress: Progress) -> Iterator[bytes]:
    for chunk in response.iter_bytes(CHUNK):
        yield chunk
        begun += len(chunk)
        progress(begun, size)


def _append(chunks: Iterable[bytes], part: Path, *, mode: str) -> None:
    with part.open(mode) as target:
        target.writelines(chunks)


@contextmanager
def _errors(model_id: str) -> Iterator[None]:
    try:
        yield
    except httpx.HTTPStatusError as error:
        status = error.response.status_code
        unknown = "ModelScope knows no such model, or it is private"
        reason = unknown if status == httpx.codes.NOT_FOUND else f"ModelScope answered with HTTP {status}"
        raise ModelMissing(model_id, reason) from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ModelMissing(model_id, f"ModelScope cannot be reached ({type(error).__name__})") from None
    except ValidationError:
        raise ModelMissing(model_id, "ModelScope did not answer with a list of files") from None
