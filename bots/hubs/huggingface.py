"""Hugging Face, or a mirror that speaks its API, by the hub's own client."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from httpx2 import HTTPError  # the hub's client uses this one
from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

from bots.hubs.hub import HubFile, Listing
from core.errors import ModelMissing


@dataclass(frozen=True, slots=True)
class HuggingFace:
    """A `Hub` at `endpoint`; None is HF_ENDPOINT or Hugging Face itself."""

    endpoint: str | None

    def list_files(self, model_id: str) -> Listing:
        with _hub_errors(model_id):
            info = HfApi(endpoint=self.endpoint, token=self._token).model_info(model_id, files_metadata=True)
        files = [
            HubFile(name=found.rfilename, size=found.size or 0, sha256=found.lfs.sha256 if found.lfs else None)
            for found in info.siblings or []
        ]
        return Listing(revision=info.sha or "main", files=files)

    def download(self, model_id: str, listing: Listing, folder: Path) -> None:
        if not sys.stderr.isatty():  # the client shows bars there
            print(f"downloading {model_id} ({sum(file.size for file in listing.files) / 1e6:.0f} MB)", file=sys.stderr)  # noqa: T201
        with _hub_errors(model_id):
            snapshot_download(
                model_id,
                revision=listing.revision,
                local_dir=folder,
                allow_patterns=[file.name for file in listing.files],
                endpoint=self.endpoint,
                token=self._token,
            )
        shutil.rmtree(folder / ".cache", ignore_errors=True)  # the client's bookkeeping

    @property
    def _token(self) -> Literal[False] | None:
        """No token for another endpoint: the one of `hf auth login` is meant for Hugging Face."""
        return None if self.endpoint is None else False


@contextmanager
def _hub_errors(model_id: str) -> Iterator[None]:
    try:
        yield
    except GatedRepoError:
        reason = f"its owner asks for consent: give it at https://huggingface.co/{model_id}, then run `hf auth login`"
        raise ModelMissing(model_id, reason) from None
    except RepositoryNotFoundError:
        raise ModelMissing(model_id, "Hugging Face knows no such model, or it is private") from None
    except HfHubHTTPError as error:
        raise ModelMissing(model_id, f"Hugging Face answered with HTTP {error.response.status_code}") from None
    except (HTTPError, ConnectionError) as error:
        reason = f"Hugging Face cannot be reached ({type(error).__name__}); try --endpoint or --source modelscope"
        raise ModelMissing(model_id, reason) from None
