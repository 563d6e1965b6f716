"""Moments of the inputs of a model's matrices."""

from pathlib import Path

import numpy as np

from core.inference.batching.prompts import prompts_step
from core.inference.calibration.conversations import conversation_ids, read_conversations
from core.inference.calibration.inputs import LONGEST, observed_moments
from core.inference.loader import LoadedModel, load_model
from core.inference.networks.decoder import Decoder
from core.inference.weights.gptq import no_moments
from core.inference.weights.layout import matrices
from core.inference.weights.precision import Precision
from tests.core.inference.options import load_options


def load(folder: Path, data_dir: Path, precision: Precision) -> LoadedModel:
    return load_model(str(folder), data_dir, load_options(precision=precision))


def test_all_conversations_are_counted(tiny_folder: Path, tmp_path: Path) -> None:
    """Each layer's moments are those of the inputs of all ids, up to a length."""
    model = load(tiny_folder, tmp_path, Precision.INT8)
    decoder = model.network
    assert isinstance(decoder, Decoder)
    found = observed_moments(decoder, model.template)
    assert set(found) == {"gate_up", "down"}
    for name, of_layers in found.items():
        texts = (conversation_ids(model.template, each) for each in read_conversations().conversations)
        steps = (prompts_step([(prompt + reply)[:LONGEST]]) for prompt, reply in texts)
        inputs = np.concatenate([decoder.observe([name], step)[name] for step in steps], 1)
        for moments, of_layer in zip(of_layers, inputs, strict=True):
            expected = no_moments(matrices(decoder.shape)[name].columns)
            expected.add(of_layer)
            for block, other in zip(moments.blocks, expected.blocks, strict=True):
                np.testing.assert_allclose(block, other, rtol=1e-4, atol=1e-2 * np.abs(other).max())
        assert not np.allclose(of_layers[0].blocks[0], of_layers[1].blocks[0], rtol=0.1)
