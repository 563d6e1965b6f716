"""PostgreSQL servers of a test: started, crashed, stopped, and promoted, as a user without privileges."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import pytest

from tests.ports import free_port

Mode: TypeAlias = Literal["fast", "immediate"]

HOMES = "/usr/lib/postgresql/*/bin"
"""Where Debian has the programs, which are in no PATH."""
USER = "postgres"
"""Who runs the servers if the tests run as root, which PostgreSQL refuses."""
CONFIGURED = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
fsync = off
shared_buffers = '16MB'
max_connections = 40
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One server with its data in a folder. Its methods return when it has started, stopped or become the primary."""

    folder: Path
    port: int

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://parley@{self.address}/postgres"

    def start(self) -> None:
        self._control("start", "-l", f"{self.folder}.log", "-o", f"-p {self.port}")

    def stop(self, mode: Mode = "fast") -> None:
        """End all connections; "immediate" is a crash of the server."""
        self._control("stop", "-m", mode)

    def kill(self) -> None:
        """Kill all its processes at once, as if the machine were gone."""
        pid_file = self.folder / "postmaster.pid"
        main = int(pid_file.read_text("ascii").split()[0])
        others = Path(f"/proc/{main}/task/{main}/children").read_text("ascii").split()
        for pid in (main, *map(int, others)):
            os.kill(pid, signal.SIGKILL)
        pid_file.unlink()

    def promote(self) -> None:
        self._control("promote")

    def configure(self, **settings: str) -> None:
        """Change settings of a server that runs."""
        for name, value in settings.items():
            self.ask(f"ALTER SYSTEM SET {name} = '{value}'")
        self._control("reload")

    def ask(self, statement: str) -> str:
        return _run(
            "psql", "-XAt", "-h", "127.0.0.1", "-p", str(self.port), "-U", "parley", "postgres", "-c", statement
        )

    def standby(self) -> "Server":
        """A server that follows this one; each commit waits for it. It has started."""
        other = Server(folder=self.folder.with_name("standby"), port=free_port())
        source = f"host=127.0.0.1 port={self.port} user=parley application_name=standby"
        _run("pg_basebackup", "-D", str(other.folder), "-R", "-c", "fast", "-d", source)
        other.start()
        self.configure(synchronous_standby_names="standby")
        return other

    def _control(self, action: str, *options: str) -> None:
        _run("pg_ctl", action, "-D", str(self.folder), "-w", *options)


@contextmanager
def open_servers() -> Iterator[Server]:
    """A new server. In the end all servers beside it are stopped and deleted. Skips the test without the programs."""
    if _program("initdb") is None:
        pytest.skip("the programs of a PostgreSQL server are not installed: initdb, pg_ctl")
    parent = Path(tempfile.mkdtemp(prefix="parley-"))
    if os.geteuid() == 0:
        shutil.chown(parent, USER)
    server = Server(folder=parent / "primary", port=free_port())
    try:
        _run("initdb", "-D", str(server.folder), "-U", "parley", "-A", "trust", "--no-sync", "--locale=C", "-E", "UTF8")
        with (server.folder / "postgresql.conf").open("a") as file:
            file.write(CONFIGURED)
        server.start()
        yield server
    finally:
        for folder in (one for one in parent.iterdir() if (one / "postmaster.pid").exists()):
            Server(folder=folder, port=0).stop("immediate")
        shutil.rmtree(parent)


def _program(name: str) -> str | None:
    homes = sorted(map(str, Path("/").glob(HOMES.removeprefix("/"))), reverse=True)
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *homes]))


def _run(name: str, *arguments: str) -> str:
    program = _program(name)
    assert program is not None
    user = pwd.getpwnam(USER).pw_uid if os.geteuid() == 0 else None
    done = subprocess.run(
        [program, *arguments], user=user, cwd="/", capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()
