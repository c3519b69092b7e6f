"""The owner of the embedded database: found, started, lost, replaced, ended."""

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl
import pytest

from tests.warehouse.conftest import DAY, costs, embedded_settings, total
from workbench import warehouse
from workbench.errors import WarehouseError, WarehouseUnavailable
from workbench.settings import Settings
from workbench.warehouse import client
from workbench.warehouse.place import Place

pytestmark = pytest.mark.slow  # each test starts owners of its own

ROOT = Path(__file__).parents[2]


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Settings]:
    """A warehouse of the test's own."""
    settings = embedded_settings(tmp_path / "state")
    yield settings
    warehouse.stop(settings)


def child(code: str, state: Path, *arguments: str) -> "subprocess.Popen[str]":
    """Another process that works on the same warehouse as `w`."""
    head = (
        "import sys; from pathlib import Path; from workbench import warehouse\n"
        "from tests.warehouse.conftest import costs, embedded_settings, total\n"
        "w = warehouse.session(embedded_settings(Path(sys.argv[1])))\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", head + code, str(state), *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def owner_pid(settings: Settings) -> int:
    address = Place(settings.state).read()
    assert address is not None
    return address.pid


def wait_for(what: object, seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not what():  # type: ignore[operator]
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.02)


@pytest.mark.slow
def test_a_killed_owner_is_replaced_by_the_next_question(own: Settings) -> None:
    with warehouse.session(own) as found:
        found.merge(costs("kill", ["1.5", "2"]), "cost_events")
        first = owner_pid(own)
        os.kill(first, signal.SIGKILL)
        assert total(found, "kill") == Decimal("3.5")
        assert owner_pid(own) != first
        os.kill(owner_pid(own), signal.SIGKILL)
        assert found.merge(costs("kill", ["1.5", "2"]), "cost_events").unchanged == 2
        os.kill(owner_pid(own), signal.SIGKILL)
        assert found.session.sql("SELECT 1").collect()[0][0] == 1


@pytest.mark.slow
def test_a_load_after_the_owner_has_ended_is_loaded_once(own: Settings) -> None:
    runs = pl.DataFrame({"run_id": ["a", "b"]})
    with warehouse.session(own) as found:
        found.load(runs, "ingest_runs")
        warehouse.stop(own)
        assert found.load(runs, "ingest_runs") == 2
        assert found.query("SELECT COUNT(*) AS n FROM finops_staging.ingest_runs").item() == 4


def test_a_failed_load_leaves_no_upload_behind(own: Settings) -> None:
    with warehouse.session(own) as found:
        wrong = costs("left", ["1"]).with_columns(event_id=pl.lit(None, pl.String))
        with pytest.raises(WarehouseError, match="no event_id"):
            found.merge(wrong, "cost_events")
        found.merge(costs("left", ["1"]), "cost_events")
        found.load(pl.DataFrame({"run_id": ["a"]}), "ingest_runs")
        assert not [path for path in (own.state / "run" / "stage").rglob("*") if path.is_file()]


def test_a_full_disk_is_named(own: Settings) -> None:
    """What the engine says of a full disk, and what we add to it; the disk itself is left alone."""
    with warehouse.session(own) as found:
        error = found._told(OSError(28, "No space left on device"))
    assert f"the disk of {own.state} is full: free some space" in str(error)


@pytest.mark.slow
def test_an_owner_killed_in_the_middle_of_a_merge_leaves_nothing_half_done(
    own: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workbench.warehouse.merge_sql import MergeSql

    with warehouse.session(own) as found:
        found.merge(costs("mid", ["1", "2"]), "cost_events")
        plain, killed = MergeSql.clear, []

        def clear(self: MergeSql, *, twice: bool) -> list[str]:
            if not killed:  # everything is written, nothing is committed
                killed.append(owner_pid(own))
                os.kill(killed[0], signal.SIGKILL)
            return plain(self, twice=twice)

        monkeypatch.setattr(MergeSql, "clear", clear)
        merged = found.merge(costs("mid", ["1", "2", "4"]), "cost_events")
        assert killed
        assert (merged.inserted, merged.unchanged) == (1, 2), "the second attempt found the state before the first"
        assert total(found, "mid") == 7


@pytest.mark.slow
def test_a_client_killed_in_a_transaction_leaves_nothing_behind(own: Settings) -> None:
    with warehouse.session(own) as found:
        found.merge(costs("dead", ["1"]), "cost_events")
        code = (
            "cursor = w._connected().cursor()\ncursor.execute('BEGIN')\n"
            "cursor.execute('UPDATE finops_curated.cost_events SET cost_amount = 99')\n"
            "print('now', flush=True)\nsys.stdin.read()"
        )
        process = child(code, own.state)
        assert process.stdout is not None
        assert process.stdout.readline() == "now\n"
        process.kill()
        process.communicate()
        # Until the owner has noticed, the dead client's rows are taken; a merge waits and tries again.
        time.sleep(1.5)
        merged = found.merge(costs("dead", ["5"], observed=DAY + timedelta(1)), "cost_events")
        assert merged.restated == 1
        assert total(found, "dead") == 5


@pytest.mark.slow
def test_two_processes_load_at_once(shared: Settings) -> None:
    code = (
        "for i in range(4):\n"
        "    w.merge(costs('both', [str(n) for n in range(50 + 10 * i)]), 'cost_events')\n"
        "    w.merge(costs(sys.argv[2], ['1'] * 50), 'cost_events')\n"
    )
    processes = [child(code, shared.state, name) for name in ("left", "right")]
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    with warehouse.session(shared) as found:
        assert total(found, "both") == sum(range(80))
        assert (total(found, "left"), total(found, "right")) == (50, 50)
        doubles = "SELECT event_id FROM finops_curated.cost_events GROUP BY event_id HAVING COUNT(*) > 1"
        assert found.query(doubles).is_empty()


@pytest.mark.slow
def test_many_that_need_an_owner_at_once_start_one(own: Settings) -> None:
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(client.ensure(own).pid)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1


def test_the_address_is_for_the_user_only_and_on_this_machine_only(shared: Settings) -> None:
    address = client.ensure(shared)
    file = Place(shared.state).address
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert address.host == "127.0.0.1"
    others = socket.gethostbyname_ex(socket.gethostname())[2]
    for host in [ip for ip in others if not ip.startswith("127.")]:
        with pytest.raises(OSError, match="refused"):
            socket.create_connection((host, address.port), timeout=2)


def test_without_the_token_nobody_gets_in(shared: Settings) -> None:
    address = client.ensure(shared)
    assert client.answers(address)
    assert not client.answers(replace(address, token="guess"))  # noqa: S106


def test_a_stale_address_leads_to_a_new_owner_and_not_to_somebody_elses(shared: Settings, own: Settings) -> None:
    """Another profile's owner may have the port by now."""
    other = client.ensure(shared)
    place = Place(own.state)
    place.make()
    place.write(replace(other, token="of the dead"))  # noqa: S106
    with warehouse.session(own) as found:
        found.merge(costs("stale", ["1"]), "cost_events")
    assert owner_pid(own) != other.pid
    with warehouse.session(shared) as found:
        assert total(found, "stale") is None


@pytest.mark.parametrize("text", ["", "{", '{"host": 1}', "[]"])
def test_a_broken_address_file_is_no_address(tmp_path: Path, text: str) -> None:
    place = Place(tmp_path)
    place.make()
    place.address.write_text(text)
    assert place.read() is None


@pytest.mark.slow
def test_an_idle_owner_ends_and_lets_go(tmp_path: Path) -> None:
    settings = embedded_settings(tmp_path / "state", idle_minutes=0.02)
    place = Place(settings.state)
    with warehouse.session(settings) as found:
        found.merge(costs("idle", ["1"]), "cost_events")
        wait_for(lambda: not place.owned())
        assert place.read() is None
        assert total(found, "idle") == 1, "a client that stayed connects again"
    wait_for(lambda: not place.owned())


@pytest.mark.slow
def test_a_long_question_keeps_the_owner_alive(tmp_path: Path) -> None:
    settings = embedded_settings(tmp_path / "state", idle_minutes=0.02)
    sql = (
        "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 3000) "
        "SELECT MAX(a.i * b.i) AS m FROM n a CROSS JOIN n b CROSS JOIN (SELECT i FROM n WHERE i < 40) c"
    )
    with warehouse.session(settings) as found:
        assert found.query(sql).item() == 9_000_000
    wait_for(lambda: not Place(settings.state).owned())


def test_stop_ends_the_owner_and_says_whether_there_was_one(own: Settings) -> None:
    assert warehouse.stop(own) is False
    client.ensure(own)
    assert warehouse.stop(own) is True
    assert not Place(own.state).owned()
    assert Place(own.state).read() is None
    assert not (own.state / "warehouse" / "FINOPS.db.wal").exists(), "an orderly end leaves no log to replay"


def test_serve_refuses_to_be_a_second_owner(own: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    from workbench.warehouse import owner

    client.ensure(own)
    monkeypatch.setattr(owner, "PATIENCE_S", 0.1)
    with pytest.raises(WarehouseUnavailable, match=f"another owner, process {owner_pid(own)}"):
        warehouse.serve(own)


@pytest.mark.slow
def test_serve_owns_in_the_foreground(own: Settings) -> None:
    code = "print('serving', flush=True)\nwarehouse.serve(embedded_settings(Path(sys.argv[1])))\nprint('done')"
    process = child(code, own.state)
    wait_for(lambda: Place(own.state).read() is not None)
    assert owner_pid(own) == process.pid
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=20)
    assert "done" in out
    assert process.returncode == 0


def test_a_state_folder_that_can_not_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    settings = embedded_settings(tmp_path / "file" / "state")
    with pytest.raises(WarehouseUnavailable, match=r"can't write to .*file/state/warehouse.*set `state:`"):
        warehouse.session(settings).query("SELECT 1 AS a")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_state_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o500)
    with pytest.raises(WarehouseUnavailable, match=r"can't write to .*state.*make it writable"):
        warehouse.session(embedded_settings(tmp_path / "state")).query("SELECT 1 AS a")


def test_a_corrupt_database_is_named_with_the_way_out(tmp_path: Path) -> None:
    settings = embedded_settings(tmp_path / "state")
    Place(settings.state).make()
    (settings.state / "warehouse" / "FINOPS.db").write_bytes(b"no database" * 1000)
    with pytest.raises(WarehouseUnavailable, match=r"FINOPS\.db.*move .*warehouse away.*warehouse\.log"):
        warehouse.session(settings).query("SELECT 1 AS a")


@pytest.mark.slow
def test_a_database_that_somebody_else_holds_is_named(own: Settings) -> None:
    client.ensure(own)
    warehouse.stop(own)
    holder = duckdb.connect(str(own.state / "warehouse" / "FINOPS.db"))
    try:
        with pytest.raises(WarehouseUnavailable, match=r"(?s)lock.*another program has the database open"):
            warehouse.session(own).query("SELECT 1 AS a")
    finally:
        holder.close()
    with warehouse.session(own) as found:
        assert found.query("SELECT 1 AS a").item() == 1


@pytest.mark.slow
def test_an_owner_that_does_not_answer_is_not_doubled(own: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stopped process holds its lock: the database must not be opened twice."""
    from workbench.warehouse import owner

    client.ensure(own)
    pid = owner_pid(own)
    monkeypatch.setattr(client, "HEALTH_S", 0.3)
    monkeypatch.setenv("WORKBENCH_OWNER_PATIENCE_S", "0.5")
    assert owner.PATIENCE_S > 1
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(WarehouseUnavailable, match=f"another owner, process {pid}"):
            client.ensure(own)
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: client.answers(json_address(own)))


def json_address(settings: Settings) -> client.Address:
    return client.Address(**json.loads(Place(settings.state).address.read_text()))


def test_a_failing_statement_does_not_end_the_owner(shared: Settings) -> None:
    with warehouse.session(shared) as found:
        pid = client.ensure(shared).pid
        for sql in ("SELECT 1/0 + 'x' AS a", "SELECT nothing AS a", "SELECT FROM", "SELECT CAST('x' AS DATE) AS d"):
            with pytest.raises(WarehouseError, match="the warehouse refused"):
                found.query(sql)
        assert found.query("SELECT 1 AS a").item() == 1
        assert client.ensure(shared).pid == pid


@pytest.mark.slow
def test_a_path_with_blanks_and_quotes_is_a_path(tmp_path: Path) -> None:
    settings = embedded_settings(tmp_path / "it's a state")
    with warehouse.session(settings) as found:
        found.merge(costs("path", ["1"]), "cost_events")
        assert total(found, "path") == 1
    warehouse.stop(settings)


@pytest.mark.slow
def test_an_owner_whose_state_was_deleted_ends_by_itself(tmp_path: Path) -> None:
    settings = embedded_settings(tmp_path / "state")
    with warehouse.session(settings) as found:
        found.query("SELECT 1 AS one")
        pid = json.loads((tmp_path / "state" / "run" / "warehouse.json").read_text())["pid"]
    shutil.rmtree(tmp_path / "state")
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and Path(f"/proc/{pid}").exists():
        time.sleep(0.1)
    assert not Path(f"/proc/{pid}").exists()
