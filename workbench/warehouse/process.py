"""Who is who between the owner and its clients."""

import os
from pathlib import Path

TOKEN_HEADER = "x-workbench-token"  # noqa: S105 (a header's name)
CLIENT_PARAMETER = "WORKBENCH_CLIENT"
"""Session parameter that names the client's process, `pid:start`, so that a dead client's transaction is undone."""


def this_process() -> str:
    """`pid:start` of the calling process."""
    return f"{os.getpid()}:{_started(os.getpid())}"


def process_lives(client: str) -> bool:
    """Whether the process `pid:start` still runs; a client that did not say who it is lives for ever."""
    pid, _, started = client.partition(":")
    if not pid.isdigit():
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not started or _started(int(pid)) in {started, ""}


def _started(pid: int) -> str:
    """When a process started, in the kernel's ticks, so that a reused pid is another process; "" if unknown."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    dead = fields[0] in {"Z", "X"}
    return "dead" if dead else fields[19]
