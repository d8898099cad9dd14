"""Proxies before the tests' services that can be made to fail: S3 that answers errors or late, a database that goes."""

import http.client
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

# What to answer a request by its method and path: None to pass it on, a status, or a number of seconds to wait first.
Rule = Callable[[str, str], int | float | None]
_REASONS = {500: "InternalError", 503: "SlowDown"}


def _healthy(method: str, path: str) -> None:
    return None


@dataclass
class S3Proxy:
    """Passes requests to an S3 server on as they are, but for those that its rule has another answer for."""

    endpoint: str
    rule: Rule = _healthy
    answered: Counter[int | float] = field(default_factory=Counter)  # by what the rule said: how often
    healed: threading.Event = field(default_factory=threading.Event)  # ends all waiting

    @contextmanager
    def failing(self, rule: Rule) -> Iterator[None]:
        """Answer by a rule for the length of the block."""
        self.rule, self.answered = rule, Counter()
        self.healed.clear()
        try:
            yield
        finally:
            self.rule = _healthy
            self.healed.set()


@contextmanager
def s3_proxy(server: str) -> Iterator[S3Proxy]:
    """A proxy before the S3 server at an address."""
    there = urlsplit(server)
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            wanted = proxy.rule(self.command, self.path)
            if wanted is not None:
                with lock:
                    proxy.answered[wanted] += 1
            if isinstance(wanted, int):
                text = f"<?xml version='1.0'?><Error><Code>{_REASONS[wanted]}</Code><Message>A test</Message></Error>"
                self._answer(wanted, [("Content-Type", "application/xml")], text.encode())
                return
            if wanted:
                proxy.healed.wait(wanted)
            # The server checks the signature over the Host that the client named, so that goes along as it is.
            onward = http.client.HTTPConnection(str(there.hostname), int(there.port or 80), timeout=60)
            onward.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in ("connection", "expect"):
                    onward.putheader(name, value)
            onward.endheaders(body)
            answer = onward.getresponse()
            kept = [(n, v) for n, v in answer.getheaders() if n.lower() not in ("connection", "transfer-encoding")]
            self._answer(answer.status, kept, answer.read())
            onward.close()

        def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
            self.send_response_only(status)
            for name, value in headers:
                if name.lower() != "content-length" or self.command == "HEAD":
                    self.send_header(name, value)
            if self.command != "HEAD":
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                with suppress(OSError):
                    self.wfile.write(body)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _handle  # noqa: N815 - http.server's names

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

        def handle_one_request(self) -> None:
            with suppress(ConnectionError):  # of a client that was killed
                super().handle_one_request()

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        proxy = S3Proxy(f"http://127.0.0.1:{listening.server_port}")
        serving = threading.Thread(target=listening.serve_forever, daemon=True)
        serving.start()
        try:
            yield proxy
        finally:
            listening.shutdown()
            serving.join()


class DatabaseProxy:
    """A TCP port before PostgreSQL's Unix socket; while it is down, nobody gets in and who was connected is cut off."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._down = False
        self.refused = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def down(self) -> bool:
        """Whether the database is gone."""
        return self._down

    @down.setter
    def down(self, down: bool) -> None:
        self._down = down
        if down:
            with self._lock:
                connections, self._open = self._open, set()
            for one in connections:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Stop for good."""
        self.down = True
        self._listening.shutdown(socket.SHUT_RDWR)  # which wakes the thread that accepts
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            if self._down:
                self.refused += 1
                client.close()
                continue
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._path)
            with self._lock:
                self._open |= {client, server}
            for here, there in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(here, there), daemon=True).start()

    def _pump(self, here: socket.socket, there: socket.socket) -> None:
        with suppress(OSError):
            while data := here.recv(1 << 16):
                there.sendall(data)
        for one in (here, there):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._open -= {here, there}
        # Each end is closed by the thread that reads it, when nothing else uses its number.
        here.close()
