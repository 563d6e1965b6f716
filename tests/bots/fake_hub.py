"""A fake of the Hugging Face hub that serves one model, and what fakes of other hubs need."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import cast

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass(frozen=True, slots=True, kw_only=True)
class HubModel:
    """A model on the hub. `files` are those in the listing; `served` overrides their contents and `sizes` their sizes.

    If `complaint` is set, downloads fail with this error code; ModelScope answers every request with it.
    """

    id: str
    files: Mapping[str, bytes]
    served: Mapping[str, bytes] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    complaint: str = ""

    def listing(self, name_key: str) -> list[dict[str, object]]:
        return [{name_key: name, "type": "file", **self._facts(name)} for name in sorted(self.files)]

    def digest(self, name: str) -> str:
        return hashlib.sha256(self.files[name]).hexdigest()

    def size(self, name: str) -> int:
        return self.sizes.get(name, len(self.files[name]))

    def _facts(self, name: str) -> dict[str, object]:
        size, digest = self.size(name), self.digest(name)
        lfs = {"sha256": digest, "oid": digest, "size": size, "pointerSize": 1}
        return {"size": size, "oid": "x", "blobId": "x", "lfs": lfs}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Path with query, and headers by their names in lower case."""

    target: str
    headers: Mapping[str, str]


@contextmanager
def fake_hub(model: HubModel) -> Iterator[str]:
    """Run a hub with this model. Yields its address."""
    with fake_hub_with_requests(model) as (endpoint, _):
        yield endpoint


@contextmanager
def fake_hub_with_requests(model: HubModel) -> Iterator[tuple[str, list[Request]]]:
    """Run a hub with this model. Yields its address, and the list of its requests, which grows."""
    with serving(_Hub, model) as running:
        yield running


@contextmanager
def serving(hub: type["Handler"], model: HubModel) -> Iterator[tuple[str, list[Request]]]:
    """Run a fake hub of any kind."""
    with _Server(("127.0.0.1", 0), hub) as server:
        server.model, server.requests = model, []
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", server.requests
        finally:
            server.shutdown()
            thread.join()


class _Server(ThreadingHTTPServer):
    model: HubModel
    requests: list[Request]


class Handler(BaseHTTPRequestHandler):
    """Answers requests for the model of its server."""

    @property
    def model(self) -> HubModel:
        return cast("_Server", self.server).model

    def note(self) -> None:
        request = Request(target=self.path, headers={name.lower(): value for name, value in self.headers.items()})
        cast("_Server", self.server).requests.append(request)

    def answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


class _Hub(Handler):
    def do_GET(self) -> None:
        self.note()
        model = self.model
        path = self.path.partition("?")[0]
        if not path.removeprefix("/api/models").startswith(f"/{model.id}"):
            self.answer(401, b"", {"X-Error-Code": "RepoNotFound"})
        elif "/tree/" in path:
            self.answer(200, json.dumps(model.listing("path")).encode())
        elif path.startswith("/api/models/"):
            siblings = model.listing("rfilename")
            self.answer(200, json.dumps({"id": model.id, "sha": COMMIT, "siblings": siblings}).encode())
        elif model.complaint:
            self.answer(403, b"", {"X-Error-Code": model.complaint})
        else:
            name = path.rpartition("/")[2]
            headers = {"ETag": f'"{model.digest(name)}"', "X-Repo-Commit": COMMIT}
            self.answer(200, model.served.get(name, model.files[name]), headers)

    do_HEAD = do_GET  # noqa: N815  the name is the library's
