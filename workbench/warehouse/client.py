"""The clients' side of the embedded warehouse: find the owner, or start one; end it."""

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from workbench.errors import UsageError, WarehouseError, WarehouseUnavailable
from workbench.warehouse.place import Address, Place, locked
from workbench.warehouse.process import CLIENT_PARAMETER, TOKEN_HEADER, this_process
from workbench.warehouse.protocols import SettingsLike, chain
from workbench.warehouse.transaction import transaction

START_S = 90
"""An owner that is not ready after so many seconds will never be."""

LOGIN_S = 60

HEALTH_S = 30
"""A busy owner may need so long to say that it lives."""

ANSWER_S = 3600
"""A single statement may take so long; a dead owner is noticed at once, whatever this says."""

MERGE_S = 1800
"""Somebody else's merge into the same table may take so long."""

SESSION_GONE = {390101, 390103, 390104, 390111, 390112, 390114, 390144}


class Embedded:
    """The embedded engine."""

    name = "embedded"

    def __init__(self, settings: SettingsLike) -> None:
        self.place = Place(settings.state)
        self._settings = settings
        self._address: Address | None = None

    def connect(self) -> Any:  # noqa: ANN401
        """A connection to the owner, which is started if there is none."""
        # Seconds of imports, while the owner starts on another core.
        loading = threading.Thread(target=import_module, args=("snowflake.connector",))
        loading.start()
        address = ensure(self._settings)
        loading.join()
        for _ in range(3):
            try:
                self._address = address
                return self._logged_in(address)
            except OSError as error:
                if answers(address):
                    raise _unavailable(self.place, f"its owner (process {address.pid}) refused: {error}") from error
                address = ensure(self._settings)  # it was idle, and ended this very moment
        raise _unavailable(self.place, "its owners end as soon as they have started")

    def _logged_in(self, address: Address) -> Any:  # noqa: ANN401
        import snowflake.connector
        from snowflake.connector.errors import Error

        try:
            return snowflake.connector.connect(
                user="workbench",
                password=address.token,
                account="embedded",
                host=address.host,
                port=address.port,
                protocol="http",
                database="FINOPS",
                schema="FINOPS_STAGING",
                paramstyle="qmark",
                arrow_number_to_decimal=True,
                login_timeout=LOGIN_S,
                # Not `network_timeout`: the connector would cancel whatever takes longer, and retry until then.
                backoff_policy=_no_second_try,
                socket_timeout=ANSWER_S,
                session_parameters={
                    "CLIENT_OUT_OF_BAND_TELEMETRY_ENABLED": False,
                    "CLIENT_TELEMETRY_ENABLED": False,
                    CLIENT_PARAMETER: this_process(),
                },
            )
        except Error as error:
            raise OSError(str(error)) from error

    def init(self) -> list[str]:
        """Ask the owner to run all SQL files."""
        address = ensure(self._settings)
        answer = _ask(address, "/workbench/init", method="POST")
        if "files" not in answer:
            raise WarehouseError(f"the SQL files could not be run: {answer.get('error')}; see {self.place.log}")
        return list(answer["files"])

    def gone(self, error: BaseException) -> bool:
        """Whether the owner, or our session with it, is no more."""
        from snowflake.connector.errors import ProgrammingError

        for cause in chain(error):
            number = getattr(cause, "errno", None)
            if number in SESSION_GONE:
                return True
            if isinstance(cause, ProgrammingError):
                return False
        return self._address is None or not answers(self._address)

    def forget(self, cursor: Any, batch: str, *, failed: bool) -> None:  # noqa: ANN401, ARG002
        """The stage is a folder on this machine; an upload that filled the disk must not stay."""
        for folder in (self.place.run / "stage").glob(f"*/FINOPS/FINOPS_STAGING/LOADS/{batch}"):
            shutil.rmtree(folder, ignore_errors=True)

    def explain(self, text: str) -> str:
        """The disk is ours to name."""
        if "No space left" in text or "not enough space" in text.lower():
            return f"the disk of {self.place.state} is full: free some space; nothing of this load was kept"
        if "Internal Server Error" in text:
            return f"see {self.place.log}"
        return ""

    @contextmanager
    def transaction(self, cursor: Any, table: str) -> Iterator[None]:  # noqa: ANN401
        """A transaction that no other merge into `table` overlaps."""
        path = self.place.run / f"{table.rpartition('.')[2]}.lock"
        try:
            with locked(path, wait_s=MERGE_S), transaction(cursor):
                yield
        except TimeoutError as error:
            raise WarehouseUnavailable(
                f"another process has been merging into {table} for more than {MERGE_S} s; "
                f"`fuser {path}` names it: wait for it, or end it"
            ) from error


def _no_second_try() -> Iterator[int]:
    """The connector's policy for requests that fail: none.

    The owner is on this machine: what fails once fails for good, and `Warehouse` knows what to do.
    """
    yield 0
    raise ConnectionError("the owner of the embedded warehouse does not answer")


def answers(address: Address) -> bool:
    """Whether the owner at `address` lives and is the one that wrote it."""
    try:
        return "pid" in _ask(address, "/workbench/health")
    except OSError:
        return False


def ensure(settings: SettingsLike) -> Address:
    """The address of the owner; starts one, under a lock, if there is none. Raises WarehouseUnavailable."""
    place = Place(settings.state)
    address = place.read()
    if address is not None and answers(address):
        return address
    place.make()
    try:
        with locked(place.start_lock, wait_s=START_S):
            address = place.read()  # somebody else may have started it meanwhile
            if address is None or not answers(address):
                _start(place, settings)
                address = place.read()
    except TimeoutError as error:
        raise _unavailable(place, f"another process has been starting it for more than {START_S} s") from error
    if address is None:
        raise _unavailable(place, f"its owner started, but {place.address} can't be read")
    return address


def serve(settings: SettingsLike) -> None:
    """Be the owner, in the foreground. Raises WarehouseUnavailable if somebody else is."""
    from workbench.warehouse.owner import own

    _only_embedded(settings, "serve")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    place = Place(settings.state)
    place.make()
    words: list[str] = []
    own(place, settings.warehouse.idle_minutes * 60, settings.warehouse.memory_limit, words.append)
    if words != ["ready"]:
        raise _unavailable(place, "; ".join(words) or "it ended before it was ready")


def stop(settings: SettingsLike) -> bool:
    """End the owner, waiting until it has let go of the database."""
    _only_embedded(settings, "stop")
    place = Place(settings.state)
    address = place.read()
    if address is None or not answers(address):
        return False
    os.kill(address.pid, signal.SIGTERM)
    until = time.monotonic() + 20
    while place.owned():
        if time.monotonic() > until:
            raise _unavailable(place, f"its owner does not end; `kill -9 {address.pid}` ends it")
        time.sleep(0.02)
    return True


def _only_embedded(settings: SettingsLike, what: str) -> None:
    if settings.warehouse.engine != "embedded":
        raise UsageError(
            f"there is nothing to {what}: the profile's warehouse is {settings.warehouse.engine}, and only the "
            "embedded one has an owner; `engine: embedded` in the profile makes it so"
        )


def _start(place: Place, settings: SettingsLike) -> None:
    """Start an owner and wait until it is ready."""
    idle, memory = str(settings.warehouse.idle_minutes), str(settings.warehouse.memory_limit)
    root = str(Path(__file__).parents[2])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    command = [sys.executable, "-m", "workbench.warehouse.owner", "--detach", "--state", str(place.state)]
    try:
        done = subprocess.run(  # noqa: S603 (our own module)
            [*command, "--idle-minutes", idle, "--memory-limit", memory],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONWARNINGS": "ignore"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=START_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise _unavailable(place, f"its owner was not ready after {START_S} s") from error
    if done.returncode:
        raise _unavailable(place, (done.stdout + done.stderr).strip())


def _unavailable(place: Place, what: str) -> WarehouseUnavailable:
    """What happened, where, and the way out."""
    hints = {
        "not a valid DuckDB": f"move {place.database} away and load the bills again",
        "Could not set lock": "another program has the database open: close it",
        "No space left": "free some space",
        "another owner": f"if that process hangs, end it with kill; else remove {place.owner_lock}",
        "Read-only": "make it writable, or set `state:` in the profile to another folder",
        "ermission denied": "make it writable, or set `state:` in the profile to another folder",
    }
    hint = next((text for sign, text in hints.items() if sign in what), "try again")
    return WarehouseUnavailable(
        f"the embedded warehouse in {place.database} is not available: {what}. Try this: {hint}. Its log: {place.log}"
    )


def _ask(address: Address, path: str, method: str = "GET") -> dict[str, Any]:
    """One of the owner's own routes. Raises OSError when nobody, or somebody else, answers."""
    url = f"http://{address.host}:{address.port}{path}"
    request = urllib.request.Request(url, method=method, headers={TOKEN_HEADER: address.token})
    try:
        with urllib.request.urlopen(request, timeout=START_S if method == "POST" else HEALTH_S) as answer:  # noqa: S310
            return dict(json.load(answer))
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 409:
                return dict(json.load(error))
        raise OSError(f"{url} answers {error.code}") from error
    except ValueError as error:
        raise OSError(f"{url} answers no JSON") from error
