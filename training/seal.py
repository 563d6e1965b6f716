"""Writes the checksums of the embedded model: run `python -m training.seal` after an edit of its model card."""

from pathlib import Path

from core.models import write_manifest

MINI = Path(__file__).parent.parent / "core" / "models" / "mini"

if __name__ == "__main__":
    write_manifest(MINI)
