"""What the processors tell, loaded: each record once, whatever is read again, and the sums are exact."""

import dataclasses
import json
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.pipelines.conftest import MakeProfile
from tests.streaming.conftest import real
from workbench import events
from workbench.cli import main
from workbench.errors import BrokerError, UsageError
from workbench.pipelines.opening import resolve_known_at
from workbench.pipelines.road import Carried
from workbench.pipelines.streamed import load_outputs, load_stream
from workbench.pipelines.told import STREAM, TOLD, rows_of
from workbench.settings import Settings, load
from workbench.streaming import replay
from workbench.streaming.broker import Broker
from workbench.streaming.clusters import EmbeddedCluster
from workbench.streaming.feed import Feed, Values
from workbench.streaming.live.service import Service
from workbench.streaming.processors import Limits, RightSizing, Roi, Rule, Spikes, Windows
from workbench.streaming.reader import TopicReader
from workbench.streaming.topics import COST, OUTPUTS, ROAD, STATE
from workbench.warehouse import Warehouse

pytestmark = pytest.mark.slow  # each test has a warehouse of its own

Open = Callable[[Settings], Warehouse]
TOPICS = {topic.name: topic for topic in OUTPUTS}
SUMS, SPIKES, ROI, ADVICE = (told.topic for told in TOLD)
START = datetime(2025, 10, 6, tzinfo=UTC)
COUNTS = ("inserted", "restated", "unchanged", "older", "repeated", "conflicts")


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.real)])
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    made: Broker = EmbeddedCluster() if request.param == "embedded" else real(request.getfixturevalue("kafka_address"))
    with made:
        made.prepare((*ROAD, *OUTPUTS))
        yield made


@pytest.fixture
def warehouse(make_profile: MakeProfile, open_warehouse: Open) -> Warehouse:
    return open_warehouse(make_profile())


def happened(seed: int = 5, days: int = 9) -> dict[str, pl.DataFrame]:
    """Events of four units, every tenth hour dear, some events hours late."""
    chance = random.Random(seed)
    rows: dict[str, list[dict[str, object]]] = {"cost": [], "business": [], "resource": []}
    for hour in range(24 * days):
        for unit in ("shop", "data", 'odd "unit"', "ünit"):
            late = chance.choice([0, 0, 0, 0, 1, 3, 9])
            at = START + timedelta(hours=max(hour - late, 0), minutes=chance.randrange(60))
            amount = Decimal(chance.randrange(1, 10**15)).scaleb(-12) + (500_000 if hour % 10 == 9 else 1_000)
            common = {"timestamp": at, "business_unit": unit, "currency": chance.choice(["USD", "EUR"])}
            rows["cost"].append(common | {"service": "compute", "cost_amount": amount})
            rows["business"].append(common | {"revenue_impact": amount * 3})
            rows["resource"].append(
                common | {"currency": "USD", "service": "compute", "resource_id": unit, "resource_type": "m5",
                          "utilization": 0.2 if hour < 120 else 0.9, "cost_estimate": Decimal("0.5")}
            )  # fmt: skip
    return {
        kind: pl.DataFrame(some, schema={name: events.SCHEMAS[kind][name] for name in some[0]})
        for kind, some in rows.items()
    }


def outputs(given: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """What all processors tell of it, so small that late records, revisions and changed advice occur."""
    hour = timedelta(hours=1)
    spikes = Spikes(bucket=hour, lateness=timedelta(0), horizon=6 * hour, rule=Rule(least_history=3, deviations=0))
    sizing = RightSizing(window=timedelta(days=2), limits=Limits(coverage_least=0.0))
    found: dict[str, pl.DataFrame] = {}
    for processor in (Windows(bucket=hour, lateness=timedelta(0), horizon=2 * hour), spikes,
                      Roi(bucket=hour, lateness=timedelta(0), reach=hour, horizon=2 * hour), sizing):  # fmt: skip
        found |= replay({kind: given[kind] for kind in processor.kinds}, processor)
    return found


def revisions() -> pl.DataFrame:
    """All records of a spike that was told of more than once, in their order."""
    spikes = outputs(happened())[SPIKES]
    often = spikes.filter(pl.len().over("anomaly_id") > 1)
    assert often.height > 1
    return often.filter(pl.col("anomaly_id") == often["anomaly_id"][0]).sort("revision")


def send(broker: Broker, told: Mapping[str, pl.DataFrame]) -> None:
    for topic, records in told.items():
        feed = Feed(broker, TOPICS[topic], [records])
        feed.run()
        assert feed.done


def by_topic(done: tuple[Carried, ...]) -> dict[str, Carried]:
    return {one.topic[one.topic.index("finops") :]: one for one in done}


def state(warehouse: Warehouse) -> list[pl.DataFrame]:
    """All that is in the four tables and in their histories."""
    return [
        warehouse.query(f"SELECT * FROM {told.table}_versions").sort("record_id", "observed_at", "superseded_at")
        for told in TOLD
    ]


def test_every_record_is_in_its_table_and_the_sums_are_those_of_the_events(
    broker: Broker, warehouse: Warehouse
) -> None:
    given = happened()
    told = outputs(given)
    assert told[SUMS]["beyond_horizon"].any()
    assert told[SUMS]["revision"].max() > 0
    assert told[SPIKES]["revision"].max() > 0
    assert told[ADVICE].height > 4
    send(broker, told)
    done = by_topic(load_outputs(warehouse, broker, "t.load"))
    assert {topic: one.read for topic, one in done.items()} == {topic: frame.height for topic, frame in told.items()}
    for one in done.values():
        assert one.read == one.valid + one.dead == sum(getattr(one, name) for name in COUNTS)
        assert (one.dead, one.conflicts) == (0, 0)
    for told_sum, exact in (("total_cost", given["cost"]["cost_amount"].sum()),):
        found = warehouse.query(f"SELECT SUM({told_sum}) AS t FROM finops_reporting.cost_window_totals")["t"].to_list()
        assert found == [exact]
    own = warehouse.query("SELECT SUM(own_cost) AS c, SUM(own_revenue) AS r FROM finops_reporting.roi_windows")
    assert own.row(0) == (given["cost"]["cost_amount"].sum(), given["business"]["revenue_impact"].sum())


def test_each_window_by_itself_is_the_sum_of_its_events(broker: Broker, warehouse: Warehouse) -> None:
    given = happened(seed=6)
    send(broker, {SUMS: outputs(given)[SUMS]})
    load_outputs(warehouse, broker, "t.load")
    found = warehouse.query(
        "SELECT business_unit, currency, window_start, total_cost, events, reported_cost, beyond_cost "
        "FROM finops_reporting.cost_window_totals ORDER BY 1, 2, 3"
    )
    exact = (
        given["cost"]
        .group_by("business_unit", "currency", window_start=pl.col("timestamp").dt.truncate("1h"))
        .agg(total_cost=pl.sum("cost_amount"), events=pl.len().cast(pl.Int64))
        .sort("business_unit", "currency", "window_start")
    )
    assert_frame_equal(found.select(exact.columns), exact)
    assert found["beyond_cost"].sum() > 0
    told = found.filter(pl.col("reported_cost").is_not_null())
    assert (told["reported_cost"] + told["beyond_cost"] == told["total_cost"]).all()


def test_reading_again_changes_nothing(broker: Broker, warehouse: Warehouse) -> None:
    send(broker, outputs(happened()))
    first = by_topic(load_outputs(warehouse, broker, "t.load"))
    before = state(warehouse)
    assert load_outputs(warehouse, broker, "t.load") == ()
    again = by_topic(load_outputs(warehouse, broker, "another.load"))
    assert {topic: one.read for topic, one in again.items()} == {topic: one.read for topic, one in first.items()}
    assert all(one.inserted == one.restated == one.conflicts == 0 for one in again.values())
    for found, expected in zip(state(warehouse), before, strict=True):
        assert_frame_equal(found, expected)


def test_who_dies_between_the_merge_and_the_commit_reads_again_and_nothing_doubles(
    broker: Broker, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = happened(seed=8)
    send(broker, outputs(given))
    with monkeypatch.context() as dying:
        dying.setattr(TopicReader, "commit", lambda *_: (_ for _ in ()).throw(BrokerError("killed here")))
        with pytest.raises(BrokerError, match="killed here"):
            load_outputs(warehouse, broker, "t.load")
    merged = warehouse.query("SELECT COUNT(*) AS n FROM finops_aggregated.cost_windows")["n"][0]
    assert merged > 0
    done = by_topic(load_outputs(warehouse, broker, "t.load"))
    assert (done[SUMS].inserted, done[SUMS].unchanged) == (0, merged)
    total = warehouse.query("SELECT SUM(delta_cost) AS t FROM finops_aggregated.cost_windows")["t"][0]
    assert total == given["cost"]["cost_amount"].sum()


def test_the_larger_revision_of_a_spike_wins_in_whatever_order_they_come(broker: Broker, warehouse: Warehouse) -> None:
    mine = revisions()
    sql = "SELECT revision, cost_amount, status, resolved FROM finops_aggregated.cost_anomalies"
    for part in (mine.tail(1), mine.head(1)):  # the older one comes later
        send(broker, {SPIKES: part})
        done = by_topic(load_outputs(warehouse, broker, "t.load"))
    assert (done[SPIKES].older, done[SPIKES].restated) == (1, 0)
    assert warehouse.query(sql).rows() == mine.tail(1).select("revision", "cost_amount", "status", "resolved").rows()


def test_a_revision_replaces_and_what_was_believed_before_is_kept(broker: Broker, warehouse: Warehouse) -> None:
    mine = revisions()
    for at in range(mine.height):
        send(broker, {SPIKES: mine[at : at + 1]})
        load_outputs(warehouse, broker, "t.load")
    held = warehouse.query(
        "SELECT revision, loaded_at, superseded_at FROM finops_aggregated.cost_anomalies_versions ORDER BY revision"
    )
    assert held["revision"].to_list() == mine["revision"].to_list()
    assert held["superseded_at"].to_list() == [*held["loaded_at"].to_list()[1:], None]


def test_advice_that_was_taken_back_is_open_no_more(broker: Broker, warehouse: Warehouse) -> None:
    advice = outputs(happened())[ADVICE]
    latest = advice.sort("recommended_at").group_by("resource_id").agg(pl.last("action"), pl.last("monthly_saving"))
    assert {"downsize"} < set(advice["action"])
    send(broker, {ADVICE: advice})
    load_outputs(warehouse, broker, "t.load")
    found = warehouse.query("SELECT resource_id, action, monthly_saving FROM finops_reporting.open_recommendations")
    assert_frame_equal(found.sort("resource_id"), latest.filter(pl.col("action") != "keep").sort("resource_id"))


def test_what_cannot_be_read_is_a_dead_letter_and_the_rest_is_loaded(broker: Broker, warehouse: Warehouse) -> None:
    good = outputs(happened())[SUMS].head(50)
    bad = [b"[]", b"{", b'{"business_unit": "shop"}', json.dumps({"delta_cost": 1.5}).encode()]
    feed = Feed(broker, TOPICS[SUMS], [good, Values(bad, ["shop"] * len(bad)), good])
    feed.run()
    done = by_topic(load_outputs(warehouse, broker, "t.load"))[SUMS]
    assert (done.read, done.valid, done.dead) == (104, 100, 4)
    assert (done.inserted, done.repeated + done.unchanged) == (50, 50)
    letters = warehouse.query("SELECT topic, reason, value FROM finops_staging.dead_letters ORDER BY reason")
    assert sorted(letters["value"]) == sorted(value.decode() for value in bad)
    assert letters["topic"].str.ends_with(SUMS).all()
    assert letters["reason"].str.len_chars().min() > 5
    book = warehouse.query("SELECT rows_read, rows_valid, rows_dead, rows_inserted FROM finops_staging.stream_runs")
    assert book.rows() == [(104, 100, 4, 50)]


def test_a_report_after_a_load_knows_what_came(broker: Broker, warehouse: Warehouse, make_profile: MakeProfile) -> None:
    send(broker, {SUMS: outputs(happened(days=2))[SUMS]})
    before = datetime.now(UTC)
    load_outputs(warehouse, broker, "t.load")
    latest = warehouse.query("SELECT MAX(loaded_at) AS t FROM finops_aggregated.cost_windows")["t"][0]
    assert resolve_known_at(warehouse, make_profile(name="other"), None) == latest >= before


def test_no_records_at_all_are_no_run(broker: Broker, warehouse: Warehouse) -> None:
    assert load_outputs(warehouse, broker, "t.load") == ()
    assert warehouse.query("SELECT COUNT(*) AS n FROM finops_staging.stream_runs")["n"][0] == 0


def test_two_records_of_one_window_have_ids_of_their_own_and_the_same_record_has_one() -> None:
    for told in TOLD:
        rows = rows_of(outputs(happened())[told.topic], told, STREAM)
        ids = rows.select("record_id", pl.col("revision") if told.topic == SPIKES else pl.lit(0))
        assert ids.n_unique() == rows.height
        assert (
            rows["record_id"].to_list() == rows_of(outputs(happened())[told.topic], told, STREAM)["record_id"].to_list()
        )


def profile(folder: Path, address: str, prefix: str) -> Path:
    path = folder / "stream.yaml"
    path.write_text(
        "sources: [{name: demo, kind: demo, end: 2025-11-01}]\n"
        f"root: {folder}\n"
        f"broker: {{engine: kafka, bootstrap_servers: '{address}', topic_prefix: '{prefix}', timeout_s: 20}}\n"
    )
    return path


@pytest.fixture
def place(tmp_path: Path, kafka_address: str) -> Iterator[tuple[Path, Broker, Warehouse]]:
    """A profile's file, its Kafka, its warehouse."""
    from workbench.warehouse import stop

    with real(kafka_address) as broker:
        broker.prepare((*ROAD, *OUTPUTS, STATE))
        path = profile(tmp_path, kafka_address, broker.prefix)
        settings = load(path, check_files=False)
        with Warehouse(settings) as warehouse:
            yield path, broker, warehouse
        stop(settings)


@pytest.mark.real
def test_what_is_not_committed_is_not_loaded_and_marks_of_transactions_do_not_hold_it_up(
    place: tuple[Path, Broker, Warehouse],
) -> None:
    _, broker, warehouse = place
    records = outputs(happened())[SUMS]
    producer = broker.producer(**{"transactional.id": f"t-{uuid.uuid4().hex}"})
    producer.init_transactions(30)
    from workbench.streaming.feed import values_of

    def write(part: pl.DataFrame, *, commit: bool) -> None:
        given = values_of(part)
        producer.begin_transaction()
        for value, key in zip(given.values, given.keys, strict=True):
            producer.produce(broker.topic(TOPICS[SUMS]), value, key, headers=[("schema_version", b"1")])
        if commit:
            producer.commit_transaction(30)
        else:
            producer.flush(30)
            producer.abort_transaction(30)

    write(records.head(200), commit=True)
    write(records.slice(200, 100), commit=False)
    started = time.monotonic()
    assert by_topic(load_outputs(warehouse, broker, "t.load"))[SUMS].read == 200
    write(records.slice(300, 100), commit=True)
    assert by_topic(load_outputs(warehouse, broker, "t.load"))[SUMS].inserted == 100
    assert load_outputs(warehouse, broker, "t.load") == ()
    assert time.monotonic() - started < broker.timeout_s  # nobody waited for what never comes


@pytest.mark.real
def test_what_the_live_processors_tell_of_events_is_in_the_warehouse_to_the_last_digit(
    place: tuple[Path, Broker, Warehouse],
) -> None:
    """Closed windows, each the sum of its events; what is still open is in no window yet."""
    _, broker, warehouse = place
    given = happened(seed=9, days=3)["cost"].with_row_index("at").with_columns(
        event_id=pl.format("e-{}", "at"), event_type=pl.lit("cloud_cost_incurred"), metadata=pl.lit("{}"),
        observed_at=pl.lit(START + timedelta(days=9)),
    ).drop("at")  # fmt: skip
    feed = Feed(broker, COST, [given])
    feed.run()
    assert feed.done
    service = Service(broker, [Windows(idle=timedelta(days=1)), Spikes()], "live", batch=500, batch_s=0.1)
    thread = threading.Thread(target=service.run)
    thread.start()
    try:
        limit = time.monotonic() + 60
        while service.counts.read < given.height:
            assert time.monotonic() < limit
            time.sleep(0.1)
    finally:
        service.stop()
        thread.join(20)
    done = by_topic(load_outputs(warehouse, broker, "t.load"))
    assert (done[SUMS].dead, done[SUMS].conflicts, done[SUMS].inserted) == (0, 0, done[SUMS].read)
    found = warehouse.query(
        "SELECT business_unit, currency, window_start, total_cost FROM finops_reporting.cost_window_totals"
    )
    exact = given.group_by("business_unit", "currency", window_start=pl.col("timestamp").dt.truncate("5m")).agg(
        pl.sum("cost_amount")
    )
    both = found.join(exact, on=["business_unit", "currency", "window_start"], how="left")
    complete = both.filter(pl.col("window_start") < START + timedelta(days=2))  # nothing of these is still open
    assert complete.height == exact.filter(pl.col("window_start") < START + timedelta(days=2)).height > 100
    assert (complete["total_cost"] == complete["cost_amount"]).all()
    assert (both["total_cost"] <= both["cost_amount"]).all()


@pytest.mark.real
def test_the_command_loads_what_is_there_and_says_so(
    place: tuple[Path, Broker, Warehouse], capsys: pytest.CaptureFixture[str]
) -> None:
    path, broker, warehouse = place
    given = happened()
    told = outputs(given)
    send(broker, told)
    with pytest.raises(SystemExit) as ended:
        main(["stream", "load", "--profile", str(path), "--json"])
    assert ended.value.code == 0
    said = json.loads(capsys.readouterr().out)
    assert {
        topic["topic"].removeprefix(broker.prefix): topic["inserted"]
        + topic["restated"]
        + topic["repeated"]
        + topic["older"]
        for topic in said["topics"]
    } == {topic: frame.height for topic, frame in told.items()}
    total = warehouse.query("SELECT SUM(delta_cost) AS t FROM finops_aggregated.cost_windows")["t"][0]
    assert total == given["cost"]["cost_amount"].sum()


@pytest.mark.real
def test_killed_while_it_follows_it_loses_nothing_and_doubles_nothing(place: tuple[Path, Broker, Warehouse]) -> None:
    path, broker, warehouse = place
    given = happened(days=20)
    told = outputs(given)[SUMS]
    warehouse.status()  # it has an owner, whoever of its clients is killed
    command = [sys.executable, "-c", "from workbench.cli import main; main()", "stream", "load", "--follow", "--json",
               "--profile", str(path)]  # fmt: skip
    chance = random.Random(3)
    parts = 4
    for part in range(parts - 1):
        send(broker, {SUMS: told[told.height * part // parts : told.height * (part + 1) // parts]})
        killed = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(chance.uniform(2, 5))
        killed.kill()
        killed.wait()
    last = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    send(broker, {SUMS: told[told.height * (parts - 1) // parts :]})  # so that it has something to do before it ends
    try:
        sql = "SELECT SUM(delta_cost) AS t, COUNT(*) AS n FROM finops_aggregated.cost_windows"
        limit = time.monotonic() + 60
        while warehouse.query(sql)["n"][0] < told.height:
            assert time.monotonic() < limit
            time.sleep(0.3)
    finally:
        last.send_signal(signal.SIGTERM)
        out, err = last.communicate(timeout=40)
    assert last.returncode == 0, err
    assert json.loads(out)["exit_code"] == 0
    assert warehouse.query(sql).row(0) == (given["cost"]["cost_amount"].sum(), told.height)


def test_a_profile_without_a_kafka_is_told_the_way_out(make_profile: MakeProfile) -> None:
    with pytest.raises(UsageError, match="make kafka"):
        load_stream(make_profile(), print)


def test_a_record_of_another_origin_is_another_record() -> None:
    for told in TOLD:
        records = outputs(happened(days=3))[told.topic]
        live, replayed = rows_of(records, told, STREAM), rows_of(records, told, "replay", START)
        assert not set(live["record_id"]) & set(replayed["record_id"])
        assert dataclasses.is_dataclass(told)
