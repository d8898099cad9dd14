"""Processes of this machine: how many can work at once, whether one has certainly ended, and ending those of a run.

On Linux, by /proc. Elsewhere nothing is ever certain: what a dead process held is free when its lease has run out.
"""

import os
import signal
import socket
import time
from pathlib import Path

_PROC = Path("/proc")


def cores() -> int:
    """The processor cores this process may use, containers' CPU limits included; at least 1."""
    from joblib import cpu_count

    return max(1, int(cpu_count()))


def identity() -> str:
    """A name for this process that no other has, on any machine and at any time."""
    return f"{socket.gethostname()} process {os.getpid()} started {_started(os.getpid())} in {_namespace()}"


def has_ended(name: str) -> bool:
    """Whether the process of this identity has certainly ended; False when that cannot be told from here."""
    words = name.split()
    if len(words) != 7 or words[6] != _namespace() or words[6] == "-":
        return False
    return _started(int(words[2])) != words[4]


def end_marked(variable: str, prefix: str) -> int:
    """Kill all other processes of this user whose environment gives a variable a value that starts with the prefix.

    Gives their number; waits up to 5 seconds for them to be gone.
    """
    killed = set()
    until = time.monotonic() + 5
    while time.monotonic() < until:
        found = _marked(f"{variable}={prefix}".encode())
        if not found:
            break
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
            except ProcessLookupError:
                pass
        time.sleep(0.02)
    return len(killed)


def _marked(start: bytes) -> list[int]:
    found = []
    for process in _PROC.glob("[0-9]*"):
        try:
            variables = (process / "environ").read_bytes().split(b"\0")
        except OSError:
            continue  # another user's, or ended meanwhile
        if int(process.name) != os.getpid() and any(one.startswith(start) for one in variables):
            found.append(int(process.name))
    return found


def _started(pid: int) -> str:
    """When a process started, in the kernel's ticks; '-' when there is none or it only waits to be buried."""
    try:
        # After the name, which may hold anything, in brackets: state, and as the twentieth the start.
        words = (_PROC / str(pid) / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return "-"
    return "-" if words[0] in "ZX" else words[19]


def _namespace() -> str:
    """What makes a process's number mean the same: this boot of this machine and its space of numbers."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return "-"
