"""`parley serve-model --workers`: how many model servers run on this machine, where each listens, and on which CPUs."""

import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Final

from core.engine.child import SERVER
from core.errors import ConfigError
from core.inference.numa import cpu_groups, own_cpus

PINNED: Final = (sys.executable, "-P", "-m", "core.inference.pinned")
HELP: Final = """\
  --workers N|auto  Run N servers, each on CPUs of its own and on the next port from --port; "auto" is one for each NUMA
                    node. List them in engine.url. Threads and memory are those of each. The other options:
"""


def commands(arguments: Sequence[str], cpus: frozenset[int] | None = None) -> list[tuple[str, ...]]:
    """The command of each server. Without --workers it is one that may use all CPUs.

    `cpus` are those that may be used; None for those of this process. Raises ConfigError.
    """
    parser = ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--workers")
    parser.add_argument("--port", default="8000")
    parser.add_argument("--uds")
    chosen, others = parser.parse_known_args(arguments)
    if chosen.workers is None:
        return [(*SERVER, *arguments, "--exit-with-parent")]
    if chosen.uds is not None:
        raise ConfigError("--workers", "needs addresses, and --uds is one socket")
    if not (chosen.workers == "auto" or _is_number(chosen.workers)) or not chosen.port.isdecimal():
        raise ConfigError("--workers", 'should be a number from 1, or "auto", with the first port in --port')
    try:
        groups = cpu_groups(0 if chosen.workers == "auto" else int(chosen.workers), cpus or own_cpus())
    except ValueError as error:
        raise ConfigError("--workers", str(error)) from None
    ports = [int(chosen.port) and int(chosen.port) + number for number in range(len(groups))]
    return [
        (*PINNED, ",".join(map(str, group)), *SERVER, *others, "--port", str(port), "--exit-with-parent")
        for group, port in zip(groups, ports, strict=True)
    ]


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and int(text) > 0
