"""`python -m core.inference.native.prebuild [LEVEL ...]`: compiles the decoder into the installation.

This is for images and for machines without a compiler: there the best of these levels that the processor can run is
loaded. Without arguments all levels of this machine are compiled; with CC as a cross compiler, those of --machine.
"""

import platform
from typing import Annotated

import typer

from core.errors import NoKernels
from core.inference.native.build import LEVELS, PORTABLE, prebuild


def main(
    names: Annotated[list[str] | None, typer.Argument(metavar="[LEVEL]...", help="All if none is named.")] = None,
    machine: Annotated[str, typer.Option(help="x86_64 or aarch64.")] = platform.machine(),
) -> None:
    """Compile the decoder's levels, and print the libraries' paths."""
    known = {level.name: level for level in LEVELS.get(machine, (PORTABLE,))}
    if unknown := set(names or ()) - known.keys():
        raise typer.BadParameter(f"{machine} has no level {', '.join(sorted(unknown))}; it has {', '.join(known)}")
    for name in names or known:
        try:
            typer.echo(prebuild(known[name]))
        except NoKernels as error:
            typer.echo(f"parley: {name}: {error.reason}", err=True)
            raise typer.Exit(1) from None


if __name__ == "__main__":
    typer.run(main)
