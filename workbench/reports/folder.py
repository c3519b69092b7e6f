"""The folder of a report: written beside its place and put there in one go, by one run at a time.

A run that is killed leaves the report that was there before; what it had written is swept away by the next run.
"""

import fcntl
import os
import shutil
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from workbench.errors import ReportError


class ReportFolder:
    """`reports/<profile>/<as-of>/`, as a context: write into `.work`, then `commit()`; without it nothing changes."""

    def __init__(self, reports: Path, profile: str, as_of: str) -> None:
        self.place = reports / profile / as_of
        self.work = self.place.with_name(f".{as_of}.{os.getpid()}.tmp")
        self._old = self.place.with_name(f".{as_of}.old")
        self._lock_file = self.place.with_name(f".{as_of}.lock")
        self._lock: int | None = None

    def __enter__(self) -> Self:
        try:
            self.place.parent.mkdir(parents=True, exist_ok=True)
            self._lock = self._locked()
            self._sweep()
            (self.work / "records").mkdir(parents=True)
            (self.work / "notebooks").mkdir()
            (self.work / "tables").mkdir()
        except OSError as error:
            self._release()
            raise ReportError(
                f"reports can't be written to {self.place.parent} ({error.strerror or error}): make that folder "
                f"writable, or name another one as 'reports:' in the profile"
            ) from error
        except BaseException:
            self._release()
            raise
        return self

    def commit(self) -> None:
        """Put the work in its place; what was there is gone afterwards."""
        if self.place.exists():
            self.place.rename(self._old)
        self.work.rename(self.place)
        shutil.rmtree(self._old, ignore_errors=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self.work, ignore_errors=True)
        self._release()

    def _locked(self) -> int:
        while True:
            handle = os.open(self._lock_file, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                owner = os.read(handle, 32).decode(errors="replace").strip() or "unknown"
                os.close(handle)
                raise ReportError(
                    f"{self.place} is being written by another run (process {owner}): wait for it, or end that process"
                ) from error
            except BaseException:
                os.close(handle)
                raise
            # Another run may have taken the file away between the two calls: then this lock is on nothing.
            with suppress(FileNotFoundError):
                if os.fstat(handle).st_ino == self._lock_file.stat().st_ino:
                    os.ftruncate(handle, 0)
                    os.write(handle, str(os.getpid()).encode())
                    return handle
            os.close(handle)

    def _release(self) -> None:
        if self._lock is not None:
            self._lock_file.unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None

    def _sweep(self) -> None:
        """Finish or undo what a killed run of the same report left."""
        if self._old.exists() and not self.place.exists():
            self._old.rename(self.place)
        shutil.rmtree(self._old, ignore_errors=True)
        for left in self.place.parent.glob(f"{self.work.name.split('.')[0]}.{self.place.name}.*.tmp"):
            shutil.rmtree(left, ignore_errors=True)


def check_writable(reports: Path, profile: str) -> None:
    """Raise `ReportError` when a report could not be written, so that nothing is loaded and run in vain."""
    with ReportFolder(reports, profile, "check"):
        pass


def replace_text(path: Path, text: str) -> None:
    """Write a file so that nobody ever sees half of it."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
