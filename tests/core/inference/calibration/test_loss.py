"""The divergence of a rounded model."""

from pathlib import Path

import pytest
import torch
from torch.nn.functional import kl_div

from core.inference.batching.prompts import reply_step
from core.inference.calibration.conversations import conversation_ids, read_conversations
from core.inference.calibration.inputs import LONGEST
from core.inference.calibration.loss import divergence
from core.inference.loader import LoadedModel, load_model
from core.inference.networks.decoder import Decoder
from core.inference.weights.precision import Precision
from tests.core.inference.options import load_options


def load(folder: Path, data_dir: Path, precision: Precision) -> tuple[LoadedModel, Decoder]:
    model = load_model(str(folder), data_dir, load_options(precision=precision))
    assert isinstance(model.network, Decoder)
    return model, model.network


def test_it_is_that_of_the_replies_tokens(tiny_folder: Path, tmp_path: Path) -> None:
    """The mean over all tokens of the last replies, as torch computes it; none from itself."""
    (model, int8), (_, int4) = (load(tiny_folder, tmp_path, each) for each in (Precision.INT8, Precision.INT4))
    assert divergence(int8, int8, model.template) == 0
    steps = []
    for conversation in read_conversations().judged:
        prompt, reply = conversation_ids(model.template, conversation)
        steps.append(reply_step(prompt[: LONGEST // 2], reply[: LONGEST // 2]))
    exact, rounded = (torch.cat([torch.tensor(each.run(step)) for step in steps]) for each in (int8, int4))
    expected = kl_div(rounded.log_softmax(-1), exact.log_softmax(-1), reduction="batchmean", log_target=True)
    assert divergence(int8, int4, model.template) == pytest.approx(float(expected), rel=1e-3)
