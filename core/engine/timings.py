"""When a model server is probed, killed and started again."""

from dataclasses import dataclass
from typing import Final

from core.backoff import Backoff

EX_CONFIG: Final = 78
"""Exit status of a server whose model is missing or damaged. An early restart would not help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Intervals and timeouts in seconds.

    `restart` is the back-off between starts; it begins anew once a child has been ready for `stable_after`. The child's
    /health is probed every `probe_starting` until it is ready, then every `probe_ready`; one probe may take
    `probe_timeout`. A child without an answer for `start_timeout` while it loads its model, or for `silence_timeout`
    later, is killed.
    """

    restart: Backoff = Backoff(first=0.5, longest=30.0)  # noqa: RUF009  frozen
    stable_after: float = 60.0
    probe_starting: float = 0.1
    probe_ready: float = 1.0
    probe_timeout: float = 5.0
    silence_timeout: float = 30.0
    start_timeout: float = 600.0

    def count_failures(self, failures: int, *, served: float) -> int:
        """Failures in a row, after a child that was ready for `served` seconds; `failures` were counted before it."""
        return 1 if served >= self.stable_after else failures + 1

    def restart_pause(self, failures: int, *, code: int) -> float:
        """The pause before the next start, after a child that exited with `code`."""
        return self.restart.longest if code == EX_CONFIG else self.restart.pause(failures)


TIMINGS: Final = Timings()
