"""A fake of `python -m core.inference`: HTTP on a Unix socket, ready in milliseconds.

The model's name chooses its behaviour: "steady" replies; "hangs" stops after three pieces of a reply; "pauses" does so
in its first process only; "missing" exits as the real server does without a model. A prompt whose last message contains
"poison" kills it.
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
parser.add_argument("--uds", required=True)
parser.add_argument("--data-dir", type=Path, required=True)
parser.add_argument("--model", required=True)
options, _ = parser.parse_known_args()
if options.model == "missing":
    sys.exit(78)
with (options.data_dir / "starts").open("a+") as starts:
    starts.write("started\n")
    starts.seek(0)
    first = len(starts.readlines()) == 1
hangs = options.model == "hangs" or (options.model == "pauses" and first)


class Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.answer({"data": [{"id": "stand-in"}]})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not asked.get("stream"):
            return self.answer({"count": 3} if self.path == "/tokenize" else {"choices": []})
        said = asked["messages"][-1]["content"]
        if "poison" in said:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.reply(said.split()[0])

    def reply(self, name: str) -> None:
        self.send_response(200)
        self.end_headers()
        for number, word in enumerate(("To ", name, " I say ", "this.")):
            if number == 3 and hangs:
                threading.Event().wait()
            self.event({"choices": [{"delta": {"content": word}}]})
        self.event({"choices": [{"finish_reason": "stop"}], "usage": {"completion_tokens": 4}})

    def answer(self, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(200)
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


signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
threading.Thread(target=exit_with_parent, daemon=True).start()
Server(options.uds, Handler).serve_forever()
