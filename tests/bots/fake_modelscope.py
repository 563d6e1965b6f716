"""A fake of ModelScope that serves one model."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

from tests.bots.fake_hub import Handler, HubModel, Request, serving


@contextmanager
def fake_modelscope(model: HubModel) -> Iterator[tuple[str, list[Request]]]:
    """Run a hub with this model. Yields its address, and the list of its requests, which grows."""
    with serving(_ModelScope, model) as running:
        yield running


class _ModelScope(Handler):
    def do_GET(self) -> None:  # noqa: N802  the name is the library's
        self.note()
        url, repo = urlsplit(self.path), f"/api/v1/models/{self.model.id}/repo"
        if self.model.complaint:
            self.answer(200, f"<html>{self.model.complaint}</html>".encode())
        elif url.path == f"{repo}/files":
            self.answer(200, json.dumps(self._listing()).encode())
        elif url.path.rstrip("/") == repo:
            [name] = parse_qs(url.query)["FilePath"]
            self._send(self.model.served.get(name, self.model.files[name]))
        else:
            self.answer(404, b'{"Code": 10010205001, "Success": false, "Message": "not found"}')

    def _listing(self) -> object:
        """As ModelScope lists files: with digests of all, small ones too, and with the folders."""
        model = self.model
        files = [
            {"Path": name, "Name": name, "Type": "blob", "Size": model.size(name), "Sha256": model.digest(name)}
            for name in sorted(model.files)
        ]
        folder = {"Path": "images", "Name": "images", "Type": "tree", "Size": 0, "Sha256": ""}
        return {"Code": 200, "Success": True, "Data": {"Files": [folder, *files]}}

    def _send(self, content: bytes) -> None:
        begin = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        self.answer(206 if begin else 200, content[begin:])
