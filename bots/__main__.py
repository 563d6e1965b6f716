"""`python -m bots` is `parley`."""

from bots.cli import main

main()
