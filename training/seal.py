"""Writes the model's checksums: `python -m training.seal`, after its card was edited."""

from pathlib import Path

from core.models import sha256

MINI = Path(__file__).parent.parent / "core" / "models" / "mini"
SUMS = "SHA256SUMS"


def seal(folder: Path) -> None:
    """Writes `SHA256SUMS` over every other file, in the format of sha256sum."""
    files = sorted(path for path in folder.iterdir() if path.name != SUMS)
    lines = [f"{sha256(path)}  {path.name}\n" for path in files]
    (folder / SUMS).write_text("".join(lines), "utf-8")


if __name__ == "__main__":
    seal(MINI)
