"""A local server that speaks OpenAI's chat completions, well or with the faults that real ones have.

By hand: `python -m tests.llm_server` prints its address and serves until Enter or Ctrl-D.
"""

import json
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import Any

HANG_SECONDS = 30  # longer than any test's timeout; a closing server ends it

Answers = list[dict[str, Any]]
# Answers one request in its own way, in place of the good answer.
Fault = Callable[["Handler", Answers], None]


@dataclass
class Request:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    at: float  # seconds since the epoch

    @property
    def names(self) -> list[str]:
        """The products that it asks for."""
        return [product["name"] for product in json.loads(self.body["messages"][-1]["content"])]


@dataclass
class LlmServer:
    """What a test knows and decides of the server."""

    url: str = ""  # up to /v1
    # The category and confidence of a name.
    judge: Callable[[str], tuple[str, float]] = lambda name: ("Food", 0.9)
    faults: deque[Fault] = field(default_factory=deque)  # for the next requests, one each; then all is well
    always: Fault | None = None  # for every request after the faults
    seconds: float = 0.0  # that each good answer takes
    requests: list[Request] = field(default_factory=list)
    closing: Event = field(default_factory=Event)
    lock: Lock = field(default_factory=Lock)

    @property
    def names(self) -> list[str]:
        """All names asked for, in order."""
        return [name for request in self.requests for name in request.names]


@contextmanager
def serving(*faults: Fault, always: Fault | None = None, seconds: float = 0.0) -> Iterator[LlmServer]:
    """A server on a free port of this machine for the length of the block."""
    facts = LlmServer(faults=deque(faults), always=always, seconds=seconds)
    handler = type("BoundHandler", (Handler,), {"facts": facts})
    server = _Server(("127.0.0.1", 0), handler)
    facts.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield facts
    finally:
        facts.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that hangs up is what some tests are about."""


class Handler(BaseHTTPRequestHandler):
    """Answers one connection's requests."""

    facts: LlmServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or headers and body come 40 ms apart

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        request = Request(self.path, dict(self.headers), body, time.time())
        facts = self.facts
        with facts.lock:
            facts.requests.append(request)
            fault = facts.faults.popleft() if facts.faults else facts.always
        products = json.loads(body["messages"][-1]["content"])
        answers = []
        for product in products:
            category, confidence = facts.judge(product["name"])
            answers.append({"id": product["id"], "category": category, "confidence": confidence})
        if fault:
            fault(self, answers)
            return
        if facts.seconds:
            facts.closing.wait(facts.seconds)
        self.say(json.dumps({"answers": answers}))

    def say(self, content: str | None) -> None:
        """A chat completion with this content; every one counts as 100 tokens in, 10 out."""
        choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
        self.send(200, json.dumps({"object": "chat.completion", "choices": [choice], "usage": usage}))

    def send(self, status: int, body: str, headers: dict[str, str] | None = None, *, missing: int = 0) -> None:
        """A response; its length promises `missing` bytes more than come."""
        content = body.encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content) + missing))
        self.end_headers()
        self.wfile.write(content)
        if missing:
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the tests' output clean."""


def status(code: int, message: str = "no reason", **headers: str) -> Fault:
    """A refusal as OpenAI words it; `retry_after="1"` becomes a header Retry-After."""
    named = {name.replace("_", "-").title(): value for name, value in headers.items()}
    return lambda handler, answers: handler.send(code, json.dumps({"error": {"message": message}}), named)


def hang(handler: Handler, answers: Answers) -> None:
    """No answer at all while the client waits."""
    handler.facts.closing.wait(HANG_SECONDS)
    handler.close_connection = True


def trickle(handler: Handler, answers: Answers) -> None:
    """A byte now and then, for much longer than anyone waits."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    with suppress(OSError):
        while not handler.facts.closing.wait(0.02):
            handler.wfile.write(b" ")
            handler.wfile.flush()
    handler.close_connection = True


def reset(handler: Handler, answers: Answers) -> None:
    """The connection is reset without a response."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True


def cut_off(handler: Handler, answers: Answers) -> None:
    """The connection ends before the body does."""
    handler.send(200, '{"choices": [', missing=500)


def body(text: str) -> Fault:
    """A response of success whose body is this."""
    return lambda handler, answers: handler.send(200, text)


def content(make: Callable[[Answers], str | None]) -> Fault:
    """A chat completion whose content is made of the good answers."""
    return lambda handler, answers: handler.say(make(answers))


def changed(make: Callable[[Answers], Iterable[dict[str, Any]]]) -> Fault:
    """A chat completion with other answers, made of the good ones."""
    return content(lambda answers: json.dumps({"answers": list(make(answers))}))


if __name__ == "__main__":
    with serving() as by_hand:
        print(by_hand.url, flush=True)
        sys.stdin.readline()
