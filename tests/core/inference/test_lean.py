"""Opening the lean decoder: the precision that "auto" comes to."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from core.inference.checkpoint.opening import open_checkpoint
from core.inference.choice import Choice, known_choice, remember
from core.inference.lean import open_lean
from core.inference.loader import LoadedModel
from core.inference.networks.decoder import Decoder
from core.inference.weights.precision import Precision
from core.progress import unwatched
from tests.core.inference.options import load_options
from tests.core.inference.tiny import shape_of


def open_auto(folder: Path, data_dir: Path, model: LoadedModel) -> Decoder:
    """The decoder of a model that is large enough for int4."""
    checkpoint, options = open_checkpoint(folder), load_options(precision=Precision.AUTO)
    return open_lean(checkpoint, shape_of(folder), model.template, data_dir, options, unwatched, large=0)


def test_a_large_model_is_judged_at_its_first_start(tiny: LoadedModel, tiny_folder: Path, tmp_path: Path) -> None:
    """The next start takes the same precision, and neither measures nor quantises."""
    first = open_auto(tiny_folder, tmp_path, tiny)
    choice = known_choice(open_checkpoint(tiny_folder), shape_of(tiny_folder), tmp_path / "quantised", large=0)
    assert choice
    assert "diverges from int8 by" in choice.reason
    assert first.dtype == choice.dtype
    with capture_logs() as logs:
        assert open_auto(tiny_folder, tmp_path, tiny).dtype == choice.dtype
    assert not logs


@pytest.mark.parametrize("dtype", [Precision.INT4, Precision.INT8])
def test_a_known_choice_is_taken(tiny: LoadedModel, tiny_folder: Path, tmp_path: Path, dtype: Precision) -> None:
    keep = tmp_path / "quantised"
    keep.mkdir()
    remember(
        Choice.model_validate({"dtype": dtype, "reason": "it was measured"}),
        open_checkpoint(tiny_folder),
        shape_of(tiny_folder),
        keep,
    )
    assert open_auto(tiny_folder, tmp_path, tiny).dtype == dtype
