"""Writes the model's checksums: `python -m training.seal`, after its card was edited."""

from pathlib import Path

from core.models import write_manifest

MINI = Path(__file__).parent.parent / "core" / "models" / "mini"

if __name__ == "__main__":
    write_manifest(MINI)
