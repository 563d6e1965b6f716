"""Where models live on disk, and whether one is whole. Nothing here loads a model."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import cast

from safetensors import SafetensorError, safe_open

from core.errors import ModelDamaged, ModelMissing
from core.models.gguf import SUFFIX, read_header

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
MAX_BYTES = 128 << 20
"""Size of the largest of these files; the tokenizer of a large vocabulary takes 35 MB."""
WEIGHT_KINDS = ("*.safetensors", f"*{SUFFIX}", "*.npy")

_NAME = r"[A-Za-z0-9][\w.-]*"
HUB_ID = re.compile(rf"{_NAME}/{_NAME}")
HUB_FILE = re.compile(rf"{_NAME}{re.escape(SUFFIX)}")
"""Names of a model on a hub, and of a GGUF file in it."""


def find_model(name: str, data_dir: Path) -> Path:
    """The folder of a model, or its GGUF file: "mini" is the embedded one, then any existing folder or GGUF file, then
    a pulled hub id, "org/name" or "org/name/file.gguf".
    """
    if name == EMBEDDED:
        return _present(Path(str(resources.files(__name__).joinpath(EMBEDDED))), "the embedded model is not installed")
    if name and (Path(name).is_dir() or (name.endswith(SUFFIX) and Path(name).is_file())):
        return Path(name)
    if on_hub := hub_name(name):
        return _present(pulled_folder(name, data_dir), f"run `{on_hub.command}`")
    raise ModelMissing(name, "there is no such folder or GGUF file")


@dataclass(frozen=True, slots=True, kw_only=True)
class HubName:
    """A model on a hub; `file` is its GGUF file, or empty for safetensors."""

    model_id: str
    file: str

    @property
    def command(self) -> str:
        """What fetches the model."""
        return f"parley model pull {self.model_id}{f' --file {self.file}' if self.file else ''}"


def hub_name(name: str) -> HubName | None:
    """The model on a hub that "org/name" or "org/name/file.gguf" names; None for any other name."""
    model_id, _, file = name.rpartition("/")
    if HUB_ID.fullmatch(model_id) and HUB_FILE.fullmatch(file):
        return HubName(model_id=model_id, file=file)
    return HubName(model_id=name, file="") if HUB_ID.fullmatch(name) else None


def pulled_folder(name: str, data_dir: Path) -> Path:
    """Where a pulled model is; `name` is that of `find_model`."""
    return data_dir / "models" / name.replace("/", "--")


def verify_model(path: Path) -> None:
    """Raises ModelMissing or ModelDamaged unless every file that would be loaded is there, whole and of a safe kind."""
    verify_listed(path)
    if file := gguf_file(path):
        read_header(file)
    else:
        _verify_safetensors(path)


def verify_listed(path: Path) -> None:
    """Raises ModelMissing or ModelDamaged if a model differs from the manifest in its folder. Without one it passes.

    A folder is verified whole, a GGUF file alone: the files beside it may be other models, or were never downloaded.
    """
    if path.is_file() and (path.parent / MANIFEST).exists():
        _verify_file(path)
    elif (path / MANIFEST).exists():
        verify_manifest(path)


def gguf_file(path: Path) -> Path | None:
    """The GGUF file of a model: `path` itself, or the only one of a folder that has no safetensors; else None."""
    if path.is_file():
        return path
    files = sorted(path.glob(f"*{SUFFIX}"))
    if not files or any(path.glob("*.safetensors")):
        return None
    if len(files) > 1:
        raise ModelDamaged(str(path), "it holds several GGUF files; name one of them")
    return files[0]


def _verify_safetensors(folder: Path) -> None:
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
        return [_shard(folder, name) for name in sorted(set(map(str, shards.values())))]
    if any(folder.glob("*.bin")):
        raise ModelDamaged(str(folder), "its weights are pickled; only safetensors are loaded")
    raise ModelMissing(str(folder / WEIGHTS), "the file is missing")


def _shard(folder: Path, name: str) -> Path:
    """A shard by its name in the index, which must be that of a file in the folder: the manifest lists no others."""
    if Path(name).name != name or not name.endswith(".safetensors"):
        raise ModelDamaged(str(folder / INDEX), "it names weights that are not in its folder")
    return _present(folder / name, "the file is missing")


def read_json(path: Path) -> Mapping[str, object]:
    """A JSON object from a file of a model; ModelDamaged if it is something else."""
    try:
        found = json.loads(read_file(path))
    except (ValueError, RecursionError) as error:
        raise ModelDamaged(str(path), "it is not valid JSON") from error
    if not isinstance(found, dict):
        raise ModelDamaged(str(path), "it is not a JSON object")
    return cast("Mapping[str, object]", found)


def read_file(path: Path) -> bytes:
    """The content of a file beside the weights. Raises ModelDamaged if it is no regular file, or too large for one."""
    if not path.is_file():
        raise ModelDamaged(str(path), "it is not a file")
    if path.stat().st_size > MAX_BYTES:
        raise ModelDamaged(str(path), f"it is larger than {MAX_BYTES >> 20} MB")
    return path.read_bytes()


def write_manifest(folder: Path, known: Mapping[str, str] = MappingProxyType({})) -> None:
    """Lists every other file of a folder, as `sha256sum` does: the digests that are known, and the files' own."""
    files = sorted(path for path in folder.iterdir() if path.name != MANIFEST)
    lines = [f"{known.get(path.name) or _sha256(path)}  {path.name}\n" for path in files]
    (folder / MANIFEST).write_text("".join(lines), "utf-8")


def verify_manifest(folder: Path) -> None:
    """Raises ModelMissing or ModelDamaged unless the files of a folder are those that its manifest lists."""
    listed = _manifest(folder / MANIFEST)
    loaded = [*(folder / name for name in LOADED), *(file for kind in WEIGHT_KINDS for file in folder.glob(kind))]
    for path in loaded:
        if path.exists():
            _require_listed(path, listed)
    for name in listed:
        _verify_digest(_listed(folder, name), listed)


def _verify_file(path: Path) -> None:
    listed = _manifest(path.parent / MANIFEST)
    _require_listed(path, listed)
    _verify_digest(path, listed)


def _require_listed(path: Path, listed: Mapping[str, str]) -> None:
    if path.name not in listed:
        raise ModelDamaged(str(path), f"it is not listed in {MANIFEST}")


def _verify_digest(path: Path, listed: Mapping[str, str]) -> None:
    if _sha256(path) != listed[path.name]:
        raise ModelDamaged(str(path), f"it differs from {MANIFEST}")


def _listed(folder: Path, name: str) -> Path:
    if Path(name).name != name:
        raise ModelDamaged(str(folder / MANIFEST), "it lists a file that is not in its folder")
    path = _present(folder / name, f"{MANIFEST} lists it, but it is missing")
    if not path.is_file():
        raise ModelDamaged(str(path), "it is not a file")
    return path


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


def _manifest(path: Path) -> Mapping[str, str]:
    """The digests of a manifest by the names of their files."""
    return dict(map(_entry, filter(None, read_file(path).decode("utf-8", "replace").splitlines())))


def _entry(line: str) -> tuple[str, str]:
    """Name and digest of a line, as `sha256sum` writes it."""
    digest, _, name = line.partition(" ")
    return name.strip().removeprefix("*").removeprefix("./"), digest.lower()
