"""One running notebook: its process, what it says, and how to end it."""

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from workbench.reports.failure import Failure

Events = queue.Queue[tuple["Job", dict[str, Any]]]

_GRACE_S = 3.0


@dataclass(eq=False)
class Job:
    """A process for one notebook: made ready by `prepare`, told which by `begin`; the last of its events is `end`.

    `dead` holds the error of one that ended before it was told anything.
    """

    process: subprocess.Popen[str]
    log: IO[bytes]
    events: Events
    name: str = ""
    started: float = field(default_factory=time.monotonic)
    kernel: int | None = None
    dead: dict[str, Any] | None = None
    listener: threading.Thread | None = None

    @classmethod
    def prepare(cls, folder: Path, scratch: Path, events: Events) -> "Job":
        """Start a process with a kernel that works in `folder`; both come up while others run."""
        log = tempfile.TemporaryFile(dir=scratch)  # noqa: SIM115 (closed when the process has ended)
        process = subprocess.Popen(  # noqa: S603 (our own module)
            [sys.executable, "-m", "workbench.reports.execute", str(folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, encoding="utf-8",
            env=_environment(scratch), start_new_session=True,
        )  # fmt: skip
        job = cls(process, log, events)
        job.listener = threading.Thread(target=job._listen, daemon=True)
        job.listener.start()
        return job

    def begin(self, name: str, order: dict[str, Any]) -> None:
        """Hand the process its notebook."""
        self.name, self.started = name, time.monotonic()
        if self.process.stdin is not None:
            with suppress(BrokenPipeError):  # it has died meanwhile: `end` says so
                # Left open: its end tells the process that nobody waits any more.
                self.process.stdin.write(json.dumps(order) + "\n")
                self.process.stdin.flush()

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self.started

    def end(self) -> None:
        """Stop process and kernel, politely first; neither outlives this call."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(_GRACE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._end_kernel()
        if self.listener is not None:
            self.listener.join(_GRACE_S)
        for stream in (self.process.stdin, self.process.stdout, self.log):
            if stream is not None:
                with suppress(OSError):
                    stream.close()

    def _listen(self) -> None:
        told = False
        try:
            for line in self.process.stdout or ():
                event = json.loads(line)
                self.kernel = event["pid"] if event["event"] == "kernel" else self.kernel
                told = told or event["event"] == "end"
                self.events.put((self, event))
        except (OSError, ValueError):
            pass  # a process that died in the middle of a line; its exit code says more
        code = self.process.wait()
        self._end_kernel()
        if not told:
            error = Failure(f"{self._cause(code)} before the notebook was finished", tuple(self._last_words()))
            self.events.put((self, {"event": "end", "error": error.as_dict()}))

    def _end_kernel(self) -> None:
        if self.kernel is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.kernel, signal.SIGKILL)
            self.kernel = None  # its number may be another's soon

    def _cause(self, code: int) -> str:
        if code < 0:
            return f"the process that ran the notebook was killed (signal {-code})"
        return f"the process that ran the notebook ended with exit code {code}"

    def _last_words(self) -> list[str]:
        self.log.seek(0)
        return self.log.read().decode("utf-8", "replace").splitlines()[-8:]


def _environment(scratch: Path) -> dict[str, str]:
    """The runner's environment without the user's own Jupyter and IPython: a report is the same for all."""
    return {
        **os.environ,
        "IPYTHONDIR": str(scratch / "ipython"),
        "JUPYTER_RUNTIME_DIR": str(scratch / "jupyter"),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        "PYTHONUNBUFFERED": "1",
    }
