"""Fake model server: HTTP on a Unix socket, with the fault that the file `mode` in its data folder names.

It records each start, and its environment, in the same folder.
"""

import argparse
import json
import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer

parser = argparse.ArgumentParser()
parser.add_argument("--uds", "--health-uds", dest="uds", required=True)
parser.add_argument("--data-dir", type=Path, required=True)
options, _ = parser.parse_known_args()
mode = (options.data_dir / "mode").read_text()


class Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/health":
            self.health()
        else:
            self.answer(200, {"data": [{"id": "fake"}]})

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if request.get("stream"):
            self.reply()
        else:
            self.answer(200, {"count": 3} if self.path == "/tokenize" else {"choices": []})

    def reply(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.event({"choices": [{"delta": {"content": "hello"}}]})
        if mode == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        self.event({"choices": [{"finish_reason": "stop"}]})

    def health(self) -> None:
        now = (options.data_dir / "mode").read_text()
        if now == "mute":
            threading.Event().wait()
        self.answer(*{"stalled": (503, {"status": "stalled"}), "full": (503, {})}.get(now, (200, {})))

    def answer(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def event(self, body: object) -> None:
        self.wfile.write(b"data: %s\n\n" % json.dumps(body).encode())

    def address_string(self) -> str:
        return "socket"

    def log_message(self, *_: object) -> None:
        pass


def exit_with_parent() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)


with (options.data_dir / "starts").open("a") as starts:
    starts.write(f"{os.getpid()}\n")
(options.data_dir / "environ").write_text("\n".join(os.environ))
if mode == "missing":
    sys.stderr.write('{"event": "starting", "level": "info"}\nparley: models/x: there is no model\n')
    sys.exit(78)
if mode == "crashes":
    sys.exit("a traceback")
signal.signal(signal.SIGTERM, signal.SIG_IGN if mode == "stubborn" else lambda *_: os._exit(0))
threading.Thread(target=exit_with_parent, daemon=True).start()
Server(options.uds, Handler).serve_forever()
