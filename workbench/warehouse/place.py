"""Where the embedded warehouse lies in the state folder, and who holds it.

<state>/warehouse/FINOPS.db      the database
<state>/run/warehouse.json       the owner's address and token (0600)
<state>/run/warehouse.log        what the owner has to say
<state>/run/start.lock           held while somebody starts an owner
<state>/run/owner.lock           held by the owner as long as it lives
<state>/run/TABLE.lock           held while somebody merges into TABLE
"""

import fcntl
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from workbench.errors import WarehouseUnavailable


@dataclass(frozen=True)
class Address:
    """Where the owner listens. The token keeps a client from talking to another profile's owner on a reused port."""

    host: str
    port: int
    pid: int
    token: str
    started: str


class Place:
    """The embedded warehouse's files below a state folder."""

    def __init__(self, state: Path) -> None:
        self.state = Path(state).absolute()
        self.database = self.state / "warehouse"
        self.run = self.state / "run"
        self.address = self.run / "warehouse.json"
        self.log = self.run / "warehouse.log"
        self.owner_lock = self.run / "owner.lock"
        self.start_lock = self.run / "start.lock"

    def make(self) -> None:
        """Create the folders. Raises WarehouseUnavailable when that can't be done."""
        for folder in (self.database, self.run):
            try:
                folder.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryFile(dir=folder) as probe:
                    probe.write(b"can it be written to?")
            except OSError as error:
                raise WarehouseUnavailable(
                    f"can't write to {folder}: {error.strerror or error}; the embedded warehouse lives in the "
                    "profile's state folder: make it writable, free some space, or set `state:` in the profile to "
                    "another folder"
                ) from error

    def read(self) -> Address | None:
        """The address on file; None when there is none that can be read."""
        try:
            return Address(**json.loads(self.address.read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def write(self, address: Address) -> None:
        """Publish the address, all at once and for the user's eyes only."""
        draft = self.address.with_suffix(f".{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(asdict(address), file)
        draft.replace(self.address)

    def owned(self) -> bool:
        """Whether an owner lives, answering or not."""
        try:
            with locked(self.owner_lock, wait_s=0, shared=True):
                return False
        except TimeoutError:
            return True


@contextmanager
def locked(path: Path, wait_s: float, *, shared: bool = False) -> Iterator[None]:
    """Hold the lock file `path`; the system lets go of it when the process dies.

    Raises TimeoutError when somebody else holds it for longer than `wait_s` seconds.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        until = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise TimeoutError(f"{path} is held by another process") from None
                time.sleep(0.01)
        yield
    finally:
        os.close(handle)
