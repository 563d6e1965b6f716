"""`python -m core.inference.pinned CPUS COMMAND...`: replace this process by a command that runs on these CPUs only.

Memory that it touches first then comes from their node. All its threads inherit the affinity, also those that a library
starts while it is imported, which a call of the server itself could not reach.
"""

import os
import sys

from core.inference.numa import parse_cpus

if __name__ == "__main__":
    os.sched_setaffinity(0, parse_cpus(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606  the command is that of the parent
