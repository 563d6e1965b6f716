"""`parley model pull`: download a model from Hugging Face. Run as `python -m bots.model ID DATA_DIR`.

It is a program of its own, so that the gateway does not import the hub's client.
"""

import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from httpx2 import HTTPError  # the hub's client uses this one
from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

from bots.exits import one_line_errors
from bots.folders import private_folder
from core.errors import ModelError, ModelMissing
from core.models import verify_model, write_manifest

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
WANTED = ("*.safetensors", "*.json", "*.jinja", "merges.txt", "LICENSE*")
"""The files of a model. Pickled weights and code are never downloaded, since loading them can run code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubFile:
    """A file on the hub; `size` in bytes. The hub gives a `sha256` for large files only."""

    name: str
    size: int
    sha256: str | None


def main() -> None:
    with one_line_errors():
        model_id, data_dir = sys.argv[1:]
        folder = pull(model_id, Path(data_dir))
        print(f"{model_id} is in {folder}. To use it, set engine.model = {model_id!r} in parley.toml.")  # noqa: T201


def pull(model_id: str, data_dir: Path, *, endpoint: str | None = None) -> Path:
    """The folder of a model, which is downloaded if it is missing or damaged.

    The folder gets its name once it is complete. `endpoint` is the hub; None is HF_ENDPOINT or Hugging Face itself.
    Raises ModelMissing if the model cannot be downloaded, ModelDamaged if a file is not what the hub announced.
    """
    if not HUB_ID.fullmatch(model_id):
        raise ModelMissing(model_id, "is not a Hugging Face id such as Qwen/Qwen2.5-0.5B-Instruct")
    folder = private_folder(data_dir) / "models" / model_id.replace("/", "--")
    if _is_complete(folder):
        return folder
    unfinished = folder.with_name(f".{folder.name}.part")
    with _hub_errors(model_id):
        unfinished.mkdir(parents=True, exist_ok=True)
        _download(model_id, unfinished, endpoint)
    try:
        verify_model(unfinished)
    except ModelError:
        shutil.rmtree(unfinished)  # the next attempt starts afresh
        raise
    shutil.rmtree(folder, ignore_errors=True)
    return unfinished.rename(folder)


def _is_complete(folder: Path) -> bool:
    try:
        verify_model(folder)
    except ModelError:
        return False
    return True


def _download(model_id: str, folder: Path, endpoint: str | None) -> None:
    """Download the files that an earlier attempt left out, and write a manifest of all."""
    revision, files = _list_files(model_id, endpoint)
    missing = sum(file.size for file in files if not (folder / file.name).exists())
    if missing > shutil.disk_usage(folder).free:
        raise ModelMissing(model_id, f"needs {missing / 1e6:.0f} MB, which is more than is free at {folder}")
    names = [file.name for file in files]
    snapshot_download(model_id, revision=revision, local_dir=folder, allow_patterns=names, endpoint=endpoint)
    shutil.rmtree(folder / ".cache", ignore_errors=True)  # the hub client's bookkeeping
    write_manifest(folder, {file.name: file.sha256 for file in files if file.sha256})


def _list_files(model_id: str, endpoint: str | None) -> tuple[str, list[HubFile]]:
    info = HfApi(endpoint=endpoint).model_info(model_id, files_metadata=True)
    files = [
        HubFile(name=found.rfilename, size=found.size or 0, sha256=found.lfs.sha256 if found.lfs else None)
        for found in info.siblings or []
        if "/" not in found.rfilename and any(fnmatch(found.rfilename, pattern) for pattern in WANTED)
    ]
    if not any(file.name.endswith(".safetensors") for file in files):
        raise ModelMissing(model_id, "has no safetensors weights, and other kinds are not loaded")
    return info.sha or "main", files


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
        raise ModelMissing(model_id, f"Hugging Face cannot be reached ({type(error).__name__})") from None
    except OSError as error:
        raise ModelMissing(model_id, f"could not be downloaded: {error.strerror or error}") from None


if __name__ == "__main__":
    main()
