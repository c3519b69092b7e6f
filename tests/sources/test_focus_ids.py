"""The same line is the same event for ever: shuffled, in pieces, loaded twice."""

import csv
import io
import random
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sources.bills import COLUMNS, OBSERVED, Line, hours, line, write
from workbench.errors import UsageError
from workbench.events import COST
from workbench.focus import IDENTITY, IDENTITY_WITHOUT_SKU, TIME
from workbench.sources.focus import read_focus, rows, sieve

pytestmark = pytest.mark.slow

# What identifies a line in these tests; all other columns may change without making another event.
CHANGES = {
    "ResourceId": ["i-1", "i-2", "NULL"],
    "SkuId": ["A", "NULL"],
    "SkuPriceId": ["A.1", "NULL"],
    "ChargePeriodStart": ["2025-10-01 00:00:00", "2025-10-01 00:30:00"],
    "BillingCurrency": ["USD", "eur"],
    "BilledCost": ["1", "2"],
    "ChargeDescription": ["a", "b"],
    "Tags": ["NULL", '{"team": "x"}'],
}
lines_of_a_bill = st.lists(st.fixed_dictionaries({name: st.sampled_from(words) for name, words in CHANGES.items()}))


def read(lines: list[Line]) -> pl.DataFrame:
    with TemporaryDirectory() as folder:
        return read_focus(
            write(Path(folder) / "bill.csv", [line(**each) for each in lines]), observed_at=OBSERVED
        ).lines()


def key(each: Line) -> tuple[str, ...]:
    named = each["SkuId"] != "NULL" or each["SkuPriceId"] != "NULL"
    always = (each["ResourceId"], each["SkuId"], each["SkuPriceId"], each["ChargePeriodStart"], each["BillingCurrency"])
    return (*always, "" if named else each["ChargeDescription"])


@settings(max_examples=20)
@given(lines_of_a_bill.filter(bool), st.data())
def test_pieces_of_a_shuffled_bill_give_the_ids_of_the_whole(lines: list[Line], data: st.DataObject) -> None:
    different = list({key(each): each for each in lines}.values())
    whole = set(read(different)["event_id"])
    assert len(whole) == len(different)
    shuffled = data.draw(st.permutations(different))
    middle = data.draw(st.integers(0, len(shuffled)))
    overlap = data.draw(st.integers(0, middle))
    pieces = set(read(shuffled[:middle])["event_id"]) | set(read(shuffled[middle - overlap :])["event_id"])
    assert pieces == whole


@settings(max_examples=20)
@given(lines_of_a_bill, st.randoms())
def test_equal_lines_of_a_file_are_numbered_by_their_contents(lines: list[Line], shuffle: random.Random) -> None:
    before = read(lines)
    shuffled = list(lines)
    shuffle.shuffle(shuffled)
    after = read(shuffled)
    assert before["event_id"].n_unique() == len(lines)
    assert after.sort("event_id").equals(before.sort("event_id"))
    counts = before.group_by("line_count").len().rows()
    assert all(lines_so_often % count == 0 for count, lines_so_often in counts)
    keys = [key(each) for each in lines]
    assert sorted(before["line_count"]) == sorted(keys.count(each) for each in keys)


def test_another_amount_is_the_same_event() -> None:
    first = read([line(), line(ResourceId="b")])
    restated = read([line(BilledCost="9", ListCost="9", Tags="NULL", ConsumedQuantity="3"), line(ResourceId="b")])
    assert restated["event_id"].to_list() == first["event_id"].to_list()


@pytest.mark.parametrize("spelled", ["2025-10-01T00:00:00Z", "2025-10-01", "2025-10-01T02:00:00+02:00"])
def test_the_spelling_of_a_time_makes_no_other_event(spelled: str) -> None:
    assert read([line(ChargePeriodStart=spelled)])["event_id"][0] == read([line()])["event_id"][0]


def test_the_spelling_of_words_makes_no_other_event() -> None:
    other = line(BillingCurrency="usd", ChargeCategory="USAGE", ChargeFrequency="usage-based")
    assert read([other])["event_id"][0] == read([line()])["event_id"][0]


def test_names_tell_lines_apart_that_have_no_sku() -> None:
    without = {"SkuId": "NULL", "SkuPriceId": "NULL"}
    taxes = [line(ChargeDescription="city tax", **without), line(ChargeDescription="state tax", **without)]
    assert read(taxes)["line_count"].to_list() == [1, 1]
    assert read([each | {"SkuId": "A"} for each in taxes])["line_count"].to_list() == [2, 2]


def test_columns_that_are_missing_or_empty_make_no_other_event(tmp_path: Path) -> None:
    given_line = line(PricingCategory="NULL", RegionId="")
    columns = [name for name in COLUMNS if name not in {"PricingCategory", "RegionId"}]
    out = io.StringIO()
    csv.DictWriter(out, columns, extrasaction="ignore").writerows(
        [dict(zip(columns, columns, strict=True)), given_line]
    )
    without = read_focus(write(tmp_path / "bill.csv", out.getvalue())).lines()
    assert without["event_id"][0] == read([given_line])["event_id"][0]


def test_equal_lines_far_apart_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sieve, "_READ", 500)
    monkeypatch.setattr(rows, "_BATCH_BYTES", 1000)
    bill = read_focus(
        write(tmp_path / "bill.csv", [line(), *hours(60, SkuId="B"), line(), line()]), observed_at=OBSERVED
    )
    assert len(bill.files[0].parts) > 3
    assert bill.files[0].equal_lines == 3
    assert bill.lines()["line_count"].to_list() == [3] + [1] * 60 + [3, 3]
    assert bill.lines()["event_id"].n_unique() == 63


# Golden: these never change, or every bill that was ever loaded would count twice.


def test_the_natural_key_never_changes() -> None:
    assert IDENTITY == (
        "BillingAccountId", "SubAccountId", "ProviderName", "PublisherName", "InvoiceIssuerName", "BillingCurrency",
        "ChargePeriodStart", "ChargePeriodEnd", "ChargeCategory", "ChargeClass", "ChargeFrequency", "ServiceName",
        "RegionId", "AvailabilityZone", "ResourceId", "SkuId", "SkuPriceId", "PricingCategory", "PricingUnit",
        "CommitmentDiscountId", "CommitmentDiscountStatus", "CapacityReservationId", "CapacityReservationStatus",
        "AllocatedResourceId",
    )  # fmt: skip
    assert IDENTITY_WITHOUT_SKU == ("ChargeDescription", "ResourceName", "SubAccountName", "RegionName")


def test_the_id_of_a_line_is_the_hash_of_its_key_as_text() -> None:
    start = int(datetime.fromisoformat("2025-10-01T00:00:00Z").timestamp())
    values = {**line(), "ChargePeriodStart": str(start), "ChargePeriodEnd": str(start + 3600)}
    text = "\x1f".join(values.get(name, "") for name in IDENTITY).rstrip("\x1f")
    assert read([line()])["event_id"].to_list() == [xxhash.xxh3_128_hexdigest(text.encode())]


GOLDEN = [
    "40907f29c64cc2ea8332434879657509",
    "abafb111c83931ca720c17501dc694ef",
    "f013b77267d3d27b0977bda68029a256",
    "cf58020a083c77ffe71313f2c6496860",
]


def test_ids_of_lines_never_change() -> None:
    given_lines = [
        line(),
        line(SkuId="NULL", SkuPriceId="NULL", ChargeCategory="Tax", ChargeDescription="Größe"),
        line(ResourceId="twice"),
        line(ResourceId="twice", BilledCost="2"),
    ]
    assert read(given_lines)["event_id"].to_list() == GOLDEN


def test_times_of_a_key_are_of_the_known_kind() -> None:
    assert read([line()]).schema["ChargePeriodStart"] == TIME


# Two roads for a bill: its lines to disk, or its events alone


@settings(max_examples=20)
@given(lines_of_a_bill)
def test_events_that_are_kept_alone_are_those_of_the_lines(lines: list[Line]) -> None:
    with TemporaryDirectory() as folder:
        path = write(Path(folder) / "bill.csv", [line(**each) for each in [*lines, {"BilledCost": "x"}]])
        whole = read_focus(path, observed_at=OBSERVED)
        alone = read_focus(path, observed_at=OBSERVED, keep="events")
        assert alone.events().collect().sort("event_id").equals(whole.events().collect().sort("event_id"))
    assert alone.totals.equals(whole.totals)
    assert alone.rejected.equals(whole.rejected)
    assert [file.equal_lines for file in alone.files] == [file.equal_lines for file in whole.files]


def test_a_bill_of_events_has_no_lines(tmp_path: Path) -> None:
    for content in (hours(2), []):
        bill = read_focus(write(tmp_path / "bill.csv", content), keep="events")
        assert bill.events().collect().schema == COST
        with pytest.raises(UsageError, match='kept its events only; read it with keep="lines"'):
            bill.lines()
