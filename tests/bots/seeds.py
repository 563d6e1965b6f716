"""The size of the long crash tests: each point is tried with this many seeds in each transport.

`CRASH_SEEDS=60 make test-long ARGS=tests/bots/telegram/test_crashes.py` tries 60, and 480 crashes of a recovery.
"""

import os

SEEDS = int(os.environ.get("CRASH_SEEDS", "4"))
