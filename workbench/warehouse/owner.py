"""The one owner of the embedded database: `python -m workbench.warehouse.owner --state DIR [--detach]`.

It holds the database, listens on a free port of 127.0.0.1, says where in `<state>/run/warehouse.json`, and ends
after `--idle-minutes` without a question. Only it makes tables and views.
"""

import argparse
import contextlib
import logging
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.warehouse.place import Address, Place, locked

if TYPE_CHECKING:
    import uvicorn

    from workbench.warehouse.server import Service

HOST = "127.0.0.1"
PATIENCE_S = float(os.environ.get("WORKBENCH_OWNER_PATIENCE_S", "15"))
"""How long a former owner may take to let go."""

LARGE_WAL = 16 * 2**20
STALE_UPLOAD_S = 3600
LONGEST_LOG = 4 * 2**20

log = logging.getLogger("workbench.warehouse.owner")


def main(arguments: list[str] | None = None) -> int:
    """Parse, detach if told to, and own; the exit code is 0 for an orderly end."""
    parser = argparse.ArgumentParser(prog="python -m workbench.warehouse.owner", description=__doc__)
    parser.add_argument("--state", type=Path, required=True, help="the profile's state folder")
    parser.add_argument("--idle-minutes", type=float, default=10, help="end after so many minutes without a question")
    parser.add_argument("--memory-limit", default="1500MB", help="memory the database may use before it writes to disk")
    parser.add_argument("--detach", action="store_true", help="run in the background; return when ready")
    given = parser.parse_args(arguments)
    place = Place(given.state)
    place.make()
    if given.detach:
        return _detached(place, given.idle_minutes * 60, given.memory_limit)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    return own(place, given.idle_minutes * 60, given.memory_limit, ready=lambda _: None)


def _detached(place: Place, idle_s: float, memory_limit: str) -> int:
    """Fork the owner off and wait until it is ready or has said why not; that word goes to standard output."""
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        with os.fdopen(reader) as pipe:
            word = pipe.read()
        sys.stdout.write(word or f"it died at once; {place.log} may say why")
        return 0 if word == "ready" else 1
    os.close(reader)
    os.setsid()
    if place.log.exists() and place.log.stat().st_size > LONGEST_LOG:
        place.log.replace(place.log.with_suffix(".log.1"))
    out = os.open(place.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for target, source in ((0, nothing), (1, out), (2, out)):
        os.dup2(source, target)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")

    def ready(word: str) -> None:
        with contextlib.suppress(OSError):
            os.write(writer, word.encode())
            os.close(writer)

    os._exit(own(place, idle_s, memory_limit, ready))


def own(place: Place, idle_s: float, memory_limit: str, ready: Callable[[str], None]) -> int:
    """Own the database until idle, interrupted or broken. `ready` gets "ready", or the reason why it can't be."""
    warnings.simplefilter("ignore")  # a library's warning, made an error by -W error, would be a failed query
    try:
        with locked(place.owner_lock, wait_s=PATIENCE_S):
            return _serve(place, idle_s, memory_limit, ready)
    except TimeoutError:
        ready(f"another owner, process {getattr(place.read(), 'pid', 'unknown')}, holds {place.database}")
    except Exception as error:
        log.exception("can't own %s", place.database)
        ready(f"{type(error).__name__}: {error}")
    return 1


def _serve(place: Place, idle_s: float, memory_limit: str, ready: Callable[[str], None]) -> int:
    _clean(place)
    from workbench.warehouse import compat

    compat.import_quickly()
    from workbench.warehouse.server import Service

    broken = threading.Event()

    def on_fatal(reason: str) -> None:
        log.error("the database can't be used any more, the owner ends: %s", reason)
        broken.set()

    compat.apply(on_fatal)
    _open(place, memory_limit)
    service = Service(secrets.token_urlsafe(24))
    service.init()
    # Named as TCP, or asyncio leaves Nagle's algorithm on and every answer takes 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind((HOST, 0))
    address = Address(HOST, listener.getsockname()[1], os.getpid(), service.token, datetime.now(UTC).isoformat())
    server = _server(service, idle_s)

    def watch() -> None:
        while not server.started:
            time.sleep(0.005)
        place.write(address)
        log.info("own %s, listen on port %s, end after %g s of idleness", place.database, address.port, idle_s)
        ready("ready")
        while not server.should_exit:
            time.sleep(min(1.0, max(0.05, idle_s / 4)))
            service.forget_dead_clients()
            _tidy(place, service.idle_s())
            if broken.is_set() or service.idle_s() > idle_s or not _still_ours(place, address):
                server.should_exit = True

    threading.Thread(target=watch, daemon=True).start()
    try:
        with _told_to_end():
            server.run(sockets=[listener])
    finally:
        _let_go(place, service, address)
    return 1 if broken.is_set() else 0


def _server(service: "Service", idle_s: float) -> "uvicorn.Server":
    import uvicorn

    config = uvicorn.Config(
        service.app(),
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_keep_alive=int(idle_s) + 60,
        timeout_graceful_shutdown=10,
    )
    logging.getLogger("fakesnow.server").handlers = []  # it has uvicorn's, and would say everything twice
    return uvicorn.Server(config)


def _let_go(place: Place, service: "Service", address: Address) -> None:
    """Of the address, the clients and the database, in this order."""
    if (known := place.read()) is not None and known.token == address.token:
        place.address.unlink(missing_ok=True)
    service.end_all()
    with contextlib.suppress(Exception):  # a broken database can't be checkpointed
        _checkpoint()
        # The lock on the file goes now, before the owner's lock: the next owner can open it at once.
        import_module("fakesnow.server").shared_fs.duck_conn.execute("DETACH FINOPS")
    log.info("end")


@contextlib.contextmanager
def _told_to_end() -> Iterator[None]:
    """Uvicorn ends in order on SIGTERM and SIGINT, and then raises them again: by then they have done their work."""
    signals = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, lambda *_: None) for number in signals]
    try:
        yield
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)


def _clean(place: Place) -> None:
    """What a former owner may have left, and where this one puts its temporary files."""
    place.address.unlink(missing_ok=True)
    for name in ("stage", "spill"):
        shutil.rmtree(place.run / name, ignore_errors=True)
        (place.run / name).mkdir()
    tempfile.tempdir = str(place.run / "stage")  # fakesnow makes its stages below the temporary folder


def _open(place: Place, memory_limit: str) -> None:
    """Attach the database file, with its limits. Raises DuckDB's errors."""
    server = import_module("fakesnow.server")
    info_schema = import_module("fakesnow.info_schema")
    macros = import_module("fakesnow.macros")
    connection = server.shared_fs.duck_conn
    server.shared_fs.db_path = place.database
    quoted = str(place.database / "FINOPS.db").replace("'", "''")
    spill = str(place.run / "spill").replace("'", "''")
    connection.execute(f"SET GLOBAL memory_limit = '{memory_limit}'")
    connection.execute(f"SET GLOBAL temp_directory = '{spill}'")
    # A checkpoint in the middle of a load doubles its time; `_tidy` makes it afterwards.
    connection.execute("SET GLOBAL wal_autocheckpoint = '1GB'")
    connection.execute(f"ATTACH '{quoted}' AS FINOPS")
    connection.execute(info_schema.per_db_creation_sql("FINOPS"))
    connection.execute(macros.creation_sql("FINOPS"))
    connection.execute("DELETE FROM FINOPS._fs_information_schema._fs_load_history")


def _still_ours(place: Place, address: Address) -> bool:
    """False when the state folder was deleted under us, or another owner has written its name: then nobody comes."""
    known = place.read()
    return known is not None and known.token == address.token


def _tidy(place: Place, idle_s: float) -> None:
    """In a quiet second: the write-ahead log into the database, forgotten uploads away."""
    if idle_s < 1:
        return
    wal = place.database / "FINOPS.db.wal"
    with contextlib.suppress(Exception):  # somebody's transaction is open, or the disk is full: next time
        if wal.exists() and wal.stat().st_size > LARGE_WAL:
            _checkpoint()
    for upload in (place.run / "stage").rglob("*.parquet"):
        with contextlib.suppress(OSError):
            if time.time() - upload.stat().st_mtime > STALE_UPLOAD_S:
                upload.unlink()


def _checkpoint() -> None:
    import_module("fakesnow.server").shared_fs.duck_conn.cursor().execute("CHECKPOINT FINOPS")


if __name__ == "__main__":
    sys.exit(main())
