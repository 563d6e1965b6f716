"""`parley model pull`: download a model from a hub. Run as `python -m bots.model ID DATA_DIR SOURCE ENDPOINT FILE`.

It is a program of its own, so that the gateway does not import the hubs' clients. Empty arguments are defaults.
"""

import re
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

from bots.exits import one_line_errors
from bots.folders import private_folder
from bots.hubs.hub import Hub, HubFile, Source
from bots.hubs.huggingface import HuggingFace
from bots.hubs.modelscope import ModelScope
from core.errors import ModelError, ModelMissing
from core.models import HUB_FILE, HUB_ID, pulled_folder, verify_model, write_manifest
from core.models.gguf import SUFFIX

ADDRESS = re.compile(r"https?://[^\s/]+\S*")
WANTED = ("*.safetensors", "*.json", "*.jinja", "merges.txt", "LICENSE*")
"""The files of a model. Pickled weights and code are never downloaded, since loading them can run code."""
HUBS: Mapping[Source, Callable[[str | None], Hub]] = {
    Source.HUGGING_FACE: HuggingFace,
    Source.MODEL_SCOPE: ModelScope,
}


def main() -> None:
    with one_line_errors():
        model_id, data_dir, source, endpoint, file = sys.argv[1:]
        folder = pull(model_id, Path(data_dir), open_hub(Source(source), endpoint), file)
        name = _name(model_id, file)
        print(f"{name} is in {folder}. To use it, set engine.model = {name!r} in parley.toml.")  # noqa: T201


def open_hub(source: Source, endpoint: str) -> Hub:
    """The hub at an address, or at its own if the address is empty. Raises ModelMissing if it is not an address."""
    if endpoint and not ADDRESS.fullmatch(endpoint):
        raise ModelMissing(endpoint, "is not an address such as https://hf-mirror.com")
    return HUBS[source](endpoint or None)


def pull(model_id: str, data_dir: Path, hub: Hub, file: str = "") -> Path:
    """The folder of a model, which is downloaded if it is missing or damaged. `file` is the GGUF file to take; if it is
    empty, the safetensors and what belongs to them are.

    The folder gets its name once it is complete. Raises ModelMissing if the model cannot be downloaded, ModelDamaged if
    a file is not what the hub announced.
    """
    if not HUB_ID.fullmatch(model_id):
        raise ModelMissing(model_id, "is not an id such as Qwen/Qwen2.5-0.5B-Instruct")
    if file and not HUB_FILE.fullmatch(file):
        raise ModelMissing(file, "is not the name of a GGUF file outside the model's folders")
    private_folder(data_dir)
    folder = pulled_folder(_name(model_id, file), data_dir)
    if _is_complete(folder):
        return folder
    unfinished = folder.with_name(f".{folder.name}.part")
    try:
        unfinished.mkdir(parents=True, exist_ok=True)
        _download(model_id, unfinished, hub, file)
    except OSError as error:
        raise ModelMissing(model_id, f"could not be downloaded: {error.strerror or error}") from None
    try:
        verify_model(unfinished)
    except ModelError:
        shutil.rmtree(unfinished)  # the next attempt starts afresh
        raise
    shutil.rmtree(folder, ignore_errors=True)
    return unfinished.rename(folder)


def _name(model_id: str, file: str) -> str:
    """What `engine.model` calls the pulled model."""
    return f"{model_id}/{file}" if file else model_id


def _is_complete(folder: Path) -> bool:
    try:
        verify_model(folder)
    except ModelError:
        return False
    return True


def _download(model_id: str, folder: Path, hub: Hub, file: str) -> None:
    """Download the files that an earlier attempt left out, and write a manifest of all."""
    listing = hub.list_files(model_id)
    files = _chosen(model_id, [found for found in listing.files if "/" not in found.name], file)
    missing = sum(found.size for found in files if not (folder / found.name).exists())
    if missing > shutil.disk_usage(folder).free:
        raise ModelMissing(model_id, f"needs {missing / 1e6:.0f} MB, which is more than is free at {folder}")
    hub.download(model_id, replace(listing, files=files), folder)
    write_manifest(folder, {found.name: found.sha256 for found in files if found.sha256})


def _chosen(model_id: str, files: Sequence[HubFile], file: str) -> list[HubFile]:
    """The files to download: one GGUF file, or those of transformers."""
    if any(_is_weights(found.name, file) for found in files):
        return [found for found in files if _is_wanted(found.name, file)]
    ggufs = [found.name for found in files if found.name.endswith(SUFFIX)]
    lacking = f"has no {file or 'safetensors weights'}"
    if not ggufs:
        raise ModelMissing(model_id, f"{lacking}, and no GGUF file; other kinds are not loaded")
    raise ModelMissing(model_id, f"{lacking}; choose one of its GGUF files with --file: {', '.join(ggufs)}")


def _is_weights(name: str, file: str) -> bool:
    return name == file if file else name.endswith(".safetensors")


def _is_wanted(name: str, file: str) -> bool:
    return name == file if file else any(fnmatch(name, pattern) for pattern in WANTED)


if __name__ == "__main__":
    main()
