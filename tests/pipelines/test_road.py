"""The road: whatever happens on the way, each event is in the table once, and the account closes."""

import base64
import json
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

import workbench
from tests.pipelines.conftest import BILL, WHOLE, MakeProfile, line, write
from tests.real.kafka import start
from tests.streaming.conftest import costs
from workbench.cli import main
from workbench.errors import BrokerError, BrokerUnavailable, WarehouseError
from workbench.pipelines.ingest import COST_EVENTS, FOCUS_COSTS, ingest
from workbench.pipelines.road import Carried, check, open_road
from workbench.settings import Settings
from workbench.streaming.feed import Values, values_of
from workbench.warehouse import Warehouse

pytestmark = pytest.mark.slow  # each test has a warehouse of its own

Open = Callable[[Settings], Warehouse]
SOURCES = "sources:\n  - name: bills\n    path: bills\n"
OBSERVED = datetime(2025, 11, 1, tzinfo=UTC)


def on_kafka(address: str) -> str:
    prefix = f"t{uuid.uuid4().hex[:8]}-"
    keys = {"engine": "kafka", "bootstrap_servers": address, "topic_prefix": prefix, "timeout_s": 20}
    return f"{SOURCES}broker:\n" + "".join(f"  {key}: {value}\n" for key, value in keys.items())


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.real)])
def profile(request: pytest.FixtureRequest, make_profile: MakeProfile) -> Settings:
    """A profile on each kind of broker."""
    return make_profile("" if request.param == "embedded" else on_kafka(request.getfixturevalue("kafka_address")))


def held(warehouse: Warehouse, table: str = COST_EVENTS, column: str = "cost_amount") -> tuple[int, Decimal]:
    frame = warehouse.query(f"SELECT COUNT(*) AS many, SUM({column}) AS money FROM {table}")
    return frame["many"][0], frame["money"][0] or Decimal(0)


def runs(warehouse: Warehouse) -> pl.DataFrame:
    return warehouse.query("SELECT * FROM finops_staging.stream_runs ORDER BY loaded_at, started_at")


def test_what_is_carried_is_in_the_table_and_accounted_for(profile: Settings, open_warehouse: Open) -> None:
    warehouse = open_warehouse(profile)
    with open_road(warehouse, profile) as road:
        first = road.carry("cost", costs(3_000))
        again = road.carry("cost", costs(3_000))
    assert (first.sent, first.delivered, first.read, first.valid, first.dead, first.inserted) == (3_000,) * 4 + (
        0,
        3_000,
    )
    assert (again.inserted, again.unchanged, again.others, again.lag) == (0, 3_000, 0, 0)
    assert held(warehouse) == (3_000, Decimal(4_500))
    book = runs(warehouse)
    assert book["rows_sent"].to_list() == [3_000, 3_000]
    assert book["rows_inserted"].to_list() == [3_000, 0]
    assert book["lag_at_end"].to_list() == [0, 0]
    assert (book["events_per_s"] > 0).all()


def test_frames_files_and_values_are_carried_alike_and_none_at_all_too(
    tmp_path: Path, make_profile: MakeProfile, open_warehouse: Open
) -> None:
    settings = make_profile()
    warehouse = open_warehouse(settings)
    paths = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    for path in paths:
        costs(100, path.stem).write_parquet(path)
    seen: list[tuple[str, int, int]] = []
    with open_road(warehouse, settings) as road:
        for data in (costs(100, "f"), paths, paths[0], iter([costs(50, "i"), values_of(costs(50, "j"))]), []):
            road.carry("cost", data, lambda *told: seen.append(told))
        assert road.carry("cost", costs(0)).read == 0
    assert held(warehouse)[0] == 400
    assert seen[0][0] == "carry cost events"
    assert {done for _, done, total in seen if done <= total} >= {0, 100, 200}


@pytest.mark.parametrize(("kind", "column"), [("business", "revenue_impact"), ("resource", "cost_estimate")])
def test_each_kind_of_event_has_its_topic_and_its_table(
    kind: str, column: str, make_profile: MakeProfile, open_warehouse: Open
) -> None:
    settings = make_profile()
    warehouse = open_warehouse(settings)
    frame = costs(200).rename({"cost_amount": column}).drop("service" if kind == "business" else "metadata")
    if kind == "resource":
        frame = frame.with_columns(utilization=pl.lit(0.5))
    with open_road(warehouse, settings) as road:
        assert road.carry(kind, frame).inserted == 200
        with pytest.raises(workbench.errors.EventError, match="no event kind 'metrics'"):
            road.carry("metrics", frame)
    assert held(warehouse, f"finops_curated.{kind}_events", column) == (200, Decimal(300))


def test_the_later_observation_wins_whatever_comes_last(make_profile: MakeProfile, open_warehouse: Open) -> None:
    settings = make_profile()
    warehouse = open_warehouse(settings)
    restated = costs(10, amount="2").with_columns(
        observed_at=pl.lit(datetime(2025, 11, 5, tzinfo=UTC)).cast(pl.Datetime("us", "UTC"))
    )
    with open_road(warehouse, settings) as road:
        road.carry("cost", costs(10))
        assert road.carry("cost", restated).restated == 10
        assert road.carry("cost", costs(10)).older == 10
    assert held(warehouse) == (10, Decimal(20))


def test_dead_letters_are_in_the_book_with_reason_text_and_original_bytes(
    make_profile: MakeProfile,
) -> None:
    settings = make_profile()
    write(settings.root / "bills" / "bill.csv", BILL)
    wrong = [b"\xff\x00 no json", b'{"event_id":"x"}', b""]
    long = b"x" * 10_000_001
    with workbench.open(settings.file, progress=lambda *_: None) as wb, open_road(wb.warehouse, settings) as road:
        carried = road.carry("cost", [Values([*wrong, long], [None] * 4), costs(5)], loaded_at=wb.known_at)
        letters, streams = wb.dead_letters(), wb.stream_runs()
        assert wb.dead_letters(1).height == 1
    assert (carried.sent, carried.refused, carried.valid, carried.dead) == (8, 1, 5, 3)
    assert letters.height == 4
    by_bytes = dict(zip(letters["value_bytes"], letters.iter_rows(named=True), strict=True))
    assert base64.b64decode(by_bytes[len(wrong[0])]["value_base64"]) == wrong[0]
    assert by_bytes[len(wrong[0])]["reason"] == "is not a JSON object"
    assert by_bytes[len(wrong[1])]["value"] == wrong[1].decode()
    assert by_bytes[len(wrong[1])]["reason"] == "timestamp is missing"
    assert by_bytes[len(long)]["message_offset"] is None
    assert "longer than" in by_bytes[len(long)]["reason"]
    assert streams.select("rows_dead", "rows_refused").rows() == [(0, 0), (3, 1)]


# Two roads for a bill


def test_both_roads_of_a_bill_have_the_same_totals_in_each_currency(
    tmp_path: Path, profile: Settings, open_warehouse: Open
) -> None:
    more = [line("eu", 1, "7.000000000001", currency="EUR"), line("credit", 2, "-3.5", currency="EUR", unit=None)]
    write(tmp_path / "bills" / "a.csv", [*BILL, *more])
    write(tmp_path / "bills" / "b.csv", [*BILL[:50], line("b", 3, "0"), line("bad", 3, "NaN")])
    warehouse = open_warehouse(profile)
    ingest(warehouse, profile)
    sums = "SELECT {0} AS currency, SUM({1}) AS total, COUNT(*) AS many FROM {2} GROUP BY {0} ORDER BY {0}"
    lines = warehouse.query(sums.format("BillingCurrency", "BilledCost", FOCUS_COSTS))
    events = warehouse.query(sums.format("currency", "cost_amount", COST_EVENTS))
    assert lines.rows() == events.rows()
    assert dict(zip(events["currency"], events["total"], strict=True)) == {
        "EUR": Decimal("3.500000000001"),
        "USD": WHOLE,
    }


def test_a_file_that_is_skipped_sends_nothing_and_opens_no_broker(
    tmp_path: Path, make_profile: MakeProfile, open_warehouse: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_profile()
    write(tmp_path / "bills" / "bill.csv", BILL)
    warehouse = open_warehouse(settings)
    ingest(warehouse, settings)
    monkeypatch.setattr("workbench.pipelines.road.connect", lambda _: pytest.fail("it opens a broker"))
    assert ingest(warehouse, settings, again=False).files == ()
    assert runs(warehouse)["rows_sent"].to_list() == [len(BILL)]


@pytest.mark.real
def test_two_producers_of_the_same_bill_at_once_change_nothing(
    tmp_path: Path, make_profile: MakeProfile, open_warehouse: Open, kafka_address: str
) -> None:
    settings = make_profile(on_kafka(kafka_address))
    write(tmp_path / "bills" / "bill.csv", BILL)
    warehouses = [open_warehouse(settings) for _ in range(2)]
    warehouses[0].status()
    failed: list[BaseException] = []

    def load(warehouse: Warehouse) -> None:
        try:
            ingest(warehouse, settings)
        except BaseException as error:  # noqa: BLE001 (looked at below)
            failed.append(error)

    threads = [threading.Thread(target=load, args=(warehouse,)) for warehouse in warehouses]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert held(warehouses[0]) == (len(BILL), WHOLE)
    book = runs(warehouses[0])
    assert book["rows_inserted"].sum() == len(BILL)
    assert (book["rows_read"] == book["rows_delivered"] + book["rows_others"]).all()


# What stands in the way


def test_a_dead_broker_is_one_error_that_names_it_and_nothing_is_in_the_book(
    tmp_path: Path, make_profile: MakeProfile, open_warehouse: Open, capsys: pytest.CaptureFixture[str]
) -> None:
    address = f"127.0.0.1:{start.free_port()}"
    settings = make_profile(on_kafka(address).replace("timeout_s: 20", "timeout_s: 1"))
    write(tmp_path / "bills" / "bill.csv", BILL)
    warehouse = open_warehouse(settings)
    with pytest.raises(BrokerUnavailable, match=address):
        ingest(warehouse, settings)
    assert held(warehouse, FOCUS_COSTS, "BilledCost") == (0, Decimal(0))
    for arguments in (["stream", "status"], ["doctor"]):
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "--profile", str(settings.file)])
        assert ended.value.code == 1
        out, err = capsys.readouterr()
        assert address in (out + err).replace("\n", "")
        assert "Traceback" not in out + err


@pytest.mark.parametrize(
    "trouble", [OSError("no space left on device"), WarehouseError("the warehouse refused: disk full")]
)
def test_a_warehouse_that_refuses_leaves_all_to_the_next_run(
    trouble: Exception, profile: Settings, open_warehouse: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse = open_warehouse(profile)
    warehouse.status()

    def refuses(*_: object) -> None:
        raise trouble

    with open_road(warehouse, profile) as road:
        monkeypatch.setattr(Warehouse, "merge", refuses)
        with pytest.raises(type(trouble), match=str(trouble)):
            road.carry("cost", costs(1_000))
        monkeypatch.undo()
        assert held(warehouse) == (0, Decimal(0))
        carried = road.carry("cost", costs(1_000))
    assert (carried.sent, carried.others, carried.inserted) == (1_000, 1_000, 1_000)
    assert held(warehouse) == (1_000, Decimal(1_500))


def test_data_that_can_not_be_read_stops_the_road_with_its_own_error(
    make_profile: MakeProfile, open_warehouse: Open
) -> None:
    settings = make_profile()
    warehouse = open_warehouse(settings)

    def breaks() -> "object":
        yield costs(10)
        raise RuntimeError("the source breaks here")

    with open_road(warehouse, settings) as road, pytest.raises(RuntimeError, match="the source breaks here"):
        road.carry("cost", breaks())  # type: ignore[arg-type]


KILLED = """
import os, signal, sys
from workbench.pipelines.ingest import ingest
from workbench.settings import load
from workbench.streaming.reader import TopicReader
from workbench.warehouse import Warehouse

TopicReader.commit = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
settings = load(sys.argv[1])
with Warehouse(settings) as warehouse:
    ingest(warehouse, settings)
"""


@pytest.mark.real
def test_a_consumer_that_is_killed_between_load_and_commit_leaves_the_totals_right(
    tmp_path: Path, make_profile: MakeProfile, open_warehouse: Open, kafka_address: str
) -> None:
    settings = make_profile(on_kafka(kafka_address))
    write(tmp_path / "bills" / "bill.csv", BILL)
    ran = subprocess.run([sys.executable, "-c", KILLED, str(settings.file)], check=False, timeout=120)
    assert ran.returncode == -signal.SIGKILL
    warehouse = open_warehouse(settings)
    assert held(warehouse) == (len(BILL), WHOLE), "it died after the load"
    assert held(warehouse, FOCUS_COSTS, "BilledCost") == (0, Decimal(0))
    (loaded,) = ingest(warehouse, settings).files
    assert loaded.merged is not None
    assert loaded.merged.inserted == len(BILL)
    assert held(warehouse) == held(warehouse, FOCUS_COSTS, "BilledCost") == (len(BILL), WHOLE)
    (run,) = runs(warehouse).iter_rows(named=True)
    assert (run["rows_sent"], run["rows_others"], run["rows_inserted"]) == (len(BILL), len(BILL), 0)
    assert run["rows_unchanged"] + run["rows_repeated"] == 2 * len(BILL)


def test_a_jump_of_the_clock_loses_and_doubles_nothing(
    make_profile: MakeProfile, open_warehouse: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_profile()
    warehouse = open_warehouse(settings)
    real_time, jumps = time.time, iter([0, 86_400, -86_400, 3_600] * 100_000)
    monkeypatch.setattr(time, "time", lambda: real_time() + next(jumps))
    with open_road(warehouse, settings) as road:
        early = road.carry("cost", costs(100), loaded_at=datetime(2031, 1, 1, tzinfo=UTC))
        late = road.carry("cost", costs(100, amount="2"), loaded_at=datetime(2001, 1, 1, tzinfo=UTC))
    assert (early.inserted, late.conflicts) == (100, 100), "the same moment of observation: neither wins by the clock"
    assert held(warehouse) == (100, Decimal(150))


# The account


FINE = Carried("t", "r", sent=5, refused=0, delivered=5, read=6, others=1, valid=5, dead=1, inserted=3, restated=1,
               unchanged=1, older=0, repeated=0, conflicts=0, lag=0, seconds=1.0)  # fmt: skip


def test_an_account_that_closes_is_taken_and_one_that_does_not_is_an_error_that_says_which() -> None:
    check(FINE, arrived=6)
    for wrong, arrived, law in (
        (replace(FINE, delivered=4), 6, "sent = delivered"),
        (replace(FINE, valid=4), 6, "read = valid \\+ dead"),
        (replace(FINE, inserted=2), 6, "valid = what"),
        (FINE, 4, "grown by 4"),
        (replace(FINE, others=-1), 6, "delivered ≤ read"),
    ):
        with pytest.raises(BrokerError, match=law):
            check(wrong, arrived)


def test_the_status_tells_what_is_in_the_topics_and_what_came_of_the_last_runs(
    profile: Settings, open_warehouse: Open, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_road(open_warehouse(profile), profile) as road:
        road.carry("cost", [costs(10), Values([b"no"], ["shop"])])
    main_json = ["stream", "status", "--profile", str(profile.file), "--json"]
    with pytest.raises(SystemExit) as ended:
        main(main_json)
    assert ended.value.code == 0
    status = json.loads(capsys.readouterr().out)
    assert status["engine"] == profile.broker.engine
    assert (status["runs"][0]["rows_read"], status["runs"][0]["rows_dead"]) == (11, 1)
    assert status["dead_letters"][0]["letters"] == 1
    if profile.broker.engine == "embedded":
        assert "lives only for a run" in status["note"]
        assert status["topics"] == []
    else:
        mine = [row for row in status["topics"] if row["topic"].endswith("finops.cost.events")]
        assert len(mine) == 4
        assert (sum(row["high"] for row in mine), status["lag"]) == (11, 0)
    with pytest.raises(SystemExit):
        main(main_json[:-1])
    assert "finops.cost" in capsys.readouterr().out
