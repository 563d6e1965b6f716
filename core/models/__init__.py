"""Where models live on disk, and whether one is whole. Nothing here loads a model."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import cast

from safetensors import SafetensorError, safe_open

from core.errors import ModelDamaged, ModelMissing

EMBEDDED = "mini"
MANIFEST = "SHA256SUMS"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
LOADED = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    INDEX,
)
"""The files beside the weights that decide what a model says."""

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def find_model(name: str, data_dir: Path) -> Path:
    """The folder of a model: "mini" is the embedded one, then any existing folder, then a pulled hub id, "org/name"."""
    if name == EMBEDDED:
        return _present(Path(str(resources.files(__name__).joinpath(EMBEDDED))), "the embedded model is not installed")
    if name and Path(name).is_dir():
        return Path(name)
    if _HUB_ID.fullmatch(name):
        return _present(data_dir / "models" / name.replace("/", "--"), f"run `parley model pull {name}`")
    raise ModelMissing(name, "there is no such folder")


def verify_model(folder: Path) -> None:
    """Raises ModelMissing or ModelDamaged unless every file that would be loaded is there, whole and of a safe kind."""
    if (folder / MANIFEST).exists():
        verify_manifest(folder)
    config = read_json(_present(folder / "config.json", "the file is missing"))
    if "auto_map" in config:
        raise ModelDamaged(str(folder / "config.json"), "it asks to run the model's own code (auto_map)")
    _present(folder / "tokenizer.json", "the file is missing")
    for path in weight_files(folder):
        _verify_weights(path)


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a model: one, or the shards its index names. Other kinds are never loaded."""
    if (folder / WEIGHTS).exists():
        return [folder / WEIGHTS]
    if (folder / INDEX).exists():
        shards = read_json(folder / INDEX).get("weight_map")
        if not isinstance(shards, dict) or not shards:
            raise ModelDamaged(str(folder / INDEX), "it names no weights")
        return [_present(folder / str(name), "the file is missing") for name in sorted(set(shards.values()))]
    if any(folder.glob("*.bin")):
        raise ModelDamaged(str(folder), "its weights are pickled; only safetensors are loaded")
    raise ModelMissing(str(folder / WEIGHTS), "the file is missing")


def read_json(path: Path) -> Mapping[str, object]:
    """A JSON object from a file of a model; ModelDamaged where it is something else."""
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ModelDamaged(str(path), "it is not valid JSON") from error
    if not isinstance(found, dict):
        raise ModelDamaged(str(path), "it is not a JSON object")
    return cast("Mapping[str, object]", found)


def write_manifest(folder: Path, known: Mapping[str, str] = MappingProxyType({})) -> None:
    """Lists every other file of a folder, as `sha256sum` does: the digests that are known, and the files' own."""
    files = sorted(path for path in folder.iterdir() if path.name != MANIFEST)
    lines = [f"{known.get(path.name) or _sha256(path)}  {path.name}\n" for path in files]
    (folder / MANIFEST).write_text("".join(lines), "utf-8")


def verify_manifest(folder: Path) -> None:
    """Raises ModelMissing or ModelDamaged unless the files of a folder are those that its manifest lists."""
    listed = dict(_manifest(folder / MANIFEST))
    loaded = [*(folder / name for name in LOADED), *folder.glob("*.safetensors"), *folder.glob("*.npy")]
    for path in loaded:
        if path.exists() and path.name not in listed:
            raise ModelDamaged(str(path), f"it is not listed in {MANIFEST}")
    for name, expected in listed.items():
        if _sha256(_present(folder / name, f"{MANIFEST} lists it, but it is missing")) != expected:
            raise ModelDamaged(str(folder / name), f"it differs from {MANIFEST}")


def _present(path: Path, otherwise: str) -> Path:
    if not path.exists():
        raise ModelMissing(str(path), otherwise)
    return path


def _verify_weights(path: Path) -> None:
    """The library compares the header with the file's length; flipped bits are the manifest's to find."""
    try:
        with safe_open(path, framework="np") as tensors:
            if not tensors.keys():
                raise ModelDamaged(str(path), "it holds no weights")
    except SafetensorError as error:
        raise ModelDamaged(str(path), f"truncated or corrupt ({error})") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _manifest(path: Path) -> Iterator[tuple[str, str]]:
    """Name and digest of each line, as `sha256sum` writes them."""
    for line in filter(None, path.read_text("utf-8").splitlines()):
        digest, _, name = line.partition(" ")
        yield name.strip().removeprefix("*").removeprefix("./"), digest.lower()
