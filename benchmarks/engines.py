"""The engines that are compared, each with weights of one kind, and how their workers are started."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from benchmarks.processes import clean_environment
from benchmarks.rig import Rig


class Engine(StrEnum):
    """An engine with weights of one kind, by its name in the tables."""

    FP32 = "Parley fp32"
    INT8 = "Parley int8"
    INT4 = "Parley int4"
    F32 = "llama.cpp F32"
    Q8_0 = "llama.cpp Q8_0"
    Q4_0 = "llama.cpp Q4_0"
    Q4_K_M = "llama.cpp Q4_K_M"
    CTRANSLATE2 = "CTranslate2 int8"
    OPENVINO = "OpenVINO GenAI Q4_0"
    ONNXRUNTIME = "ONNX Runtime GenAI int4"


PRECISIONS: Final[Mapping[Engine, str]] = {Engine.FP32: "fp32", Engine.INT8: "int8", Engine.INT4: "int4"}
"""Parley's own: its `engine.dtype`."""
GGUFS: Final[Mapping[Engine, str]] = {
    Engine.F32: "f32.gguf",
    Engine.Q8_0: "q8_0.gguf",
    Engine.Q4_0: "q4_0.gguf",
    Engine.Q4_K_M: "q4_k_m.gguf",
}
"""llama.cpp's: the file of `benchmarks/alternatives/convert.py`."""
WORKERS: Final[Mapping[Engine, tuple[str, str]]] = {
    **{engine: ("llama_worker", name) for engine, name in GGUFS.items()},
    Engine.CTRANSLATE2: ("ctranslate2_worker", "ctranslate2"),
    Engine.OPENVINO: ("openvino_worker", GGUFS[Engine.Q4_0]),
    Engine.ONNXRUNTIME: ("onnxruntime_worker", "onnxruntime"),
}
"""The others' workers in `benchmarks/alternatives`, and the format that they read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command line and its environment."""

    arguments: Sequence[object]
    environment: Mapping[str, str]


def speed_worker(rig: Rig, engine: Engine) -> Command:
    """The worker that runs batches. Raises Unavailable if the engine is not installed."""
    if engine in PRECISIONS:
        arguments = [sys.executable, "-m", "benchmarks.parley_worker", rig.model, rig.threads, PRECISIONS[engine]]
        return Command(arguments=arguments, environment=clean_environment())
    return _alternative(rig, *WORKERS[engine])


def logits_worker(rig: Rig, engine: Engine) -> Command:
    """llama.cpp's worker that writes logits. Raises Unavailable if it is not installed."""
    return _alternative(rig, "llama_logits", GGUFS[engine])


def _alternative(rig: Rig, module: str, name: str) -> Command:
    arguments = [rig.python, "-m", f"benchmarks.alternatives.{module}", rig.converted(name), rig.threads]
    return Command(arguments=arguments, environment=rig.environment)
