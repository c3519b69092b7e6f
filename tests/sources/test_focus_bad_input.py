"""Files that are broken: a clear error or a counted rejection, and nothing else is lost."""

import gzip
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sources.bills import COLUMNS, OBSERVED, Line, counts, hours, line, reasons, text, total, write
from workbench.errors import SourceError
from workbench.settings import Limits
from workbench.sources.focus import Bill, read, read_focus, rows, sieve

HEAD, FIRST, SECOND, THIRD = text(hours(3)).splitlines(keepends=True)
OPEN = SECOND.replace("an hour", '"an hour')
BROKEN_OFF = "has {} columns where the header has 18"


def bill_of(tmp_path: Path, content: str | bytes, **limits: int) -> Bill:
    bill = read_focus(write(tmp_path / "bill.csv", content), observed_at=OBSERVED, limits=Limits(**limits))
    read_rows, accepted, rejected, filtered = counts(bill)
    assert read_rows == accepted + rejected + filtered
    assert bill.lines().height == bill.events().collect().height == accepted
    return bill


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("bill.csv", b"", "is empty; a bill begins with a line of column names"),
        ("bill.csv", b"\n\r\n\n", "is empty"),
        ("bill.csv", text(hours(1), delimiter=";").encode(), "separated by ';', not ',': set `delimiter` in a mapping"),
        ("bill.csv", text(hours(1), delimiter="\t").encode(), r"separated by '\\t', not ','"),
        (
            "bill.csv",
            b"date,cost\n2025-10-01,1\n",
            "is no FOCUS bill, the column BilledCost and ChargePeriodStart is missing",
        ),
        ("bill.csv", bytes(range(256)) * 500, "is no FOCUS bill|is no text"),
        ("bill.csv", text(hours(1)).encode("utf-16"), "is no text in UTF-8; a bill is CSV, CSV.gz or Parquet"),
        ("bill.csv", text(hours(1), end="\r").encode(), "can't be read"),
        ("bill.csv", HEAD.replace("ListCost", "BilledCost").encode(), "has the column 'BilledCost' twice"),
        ("bill.csv", HEAD.replace("ListCost", " billedcost ").encode(), "has the column 'BilledCost' twice"),
        ("bill.csv.gz", gzip.compress(text(hours(5000)).encode())[:5000], "can't be read"),
        ("bill.csv.gz", gzip.compress(text(hours(9)).encode()) + b"more", "can't be read"),
        ("bill.parquet", b"PAR1 and noise", "can't be read"),
        ("bill.parquet", text(hours(1)).encode(), "can't be read"),
    ],
)
def test_a_file_that_is_no_bill_is_an_error_that_names_it(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    path = write(tmp_path / name, content)
    with pytest.raises(SourceError, match=says) as raised:
        read_focus(path)
    assert str(raised.value).startswith(f"{path}: ")


def test_one_bad_file_among_ten_loses_nothing_else(tmp_path: Path) -> None:
    for number in range(9):
        write(tmp_path / f"{number}.csv", hours(2, SubAccountId=str(number)))
    write(tmp_path / "broken.csv.gz", gzip.compress(text(hours(5000)).encode())[:9000])
    bill = read_focus(tmp_path, observed_at=OBSERVED)
    assert counts(bill) == (18, 18, 0, 0)
    (broken,) = [file for file in bill.files if file.error]
    assert broken.source_file == "broken.csv.gz"
    assert broken.error is not None
    assert broken.error.startswith("broken.csv.gz: can't be read")
    assert str(tmp_path) not in broken.error


def test_a_header_alone_is_a_bill_of_nothing(tmp_path: Path) -> None:
    for content in (HEAD, HEAD.strip(), HEAD + "\n\n"):
        bill = bill_of(tmp_path, content)
        assert counts(bill) == (0, 0, 0, 0)
        assert bill.totals.is_empty()


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_ends_byte_order_mark_and_blank_lines_do_not_matter(tmp_path: Path, end: str) -> None:
    content = "\ufeff" + text(hours(3), end=end).replace(end, end + end) + "half,a,line"
    bill = bill_of(tmp_path, content)
    assert total(bill) == 6
    assert reasons(bill) == [(9, BROKEN_OFF.format(3))]


def test_a_file_may_be_compressed_whatever_its_name_says(tmp_path: Path) -> None:
    content = text(hours(3)).encode()
    assert total(bill_of(tmp_path, gzip.compress(content))) == 6
    assert total(read_focus(write(tmp_path / "plain.csv.gz", content))) == 6


def test_columns_that_nobody_reads_may_stand_twice(tmp_path: Path) -> None:
    head = HEAD.replace("RegionId", "x").replace("SkuId", "x")
    assert counts(bill_of(tmp_path, head + FIRST + SECOND)) == (2, 2, 0, 0)


LAST_COMMA = THIRD.index('"')  # from here on half of the last value may look like a whole one


@pytest.mark.parametrize("cut", [*range(1, LAST_COMMA, 9), LAST_COMMA - 1, LAST_COMMA + 1, len(THIRD) - 2])
def test_half_a_line_at_the_end_is_counted_and_kept(tmp_path: Path, cut: int) -> None:
    bill = bill_of(tmp_path, HEAD + FIRST + SECOND + THIRD[:cut])
    assert counts(bill) == (3, 2, 1, 0)
    assert bill.rejected["row"].to_list() == [4]
    assert bill.rejected["record"].to_list() == [THIRD[:cut]]


def test_the_last_line_end_may_be_missing(tmp_path: Path) -> None:
    assert counts(bill_of(tmp_path, HEAD + FIRST + SECOND + THIRD.rstrip("\n"))) == (3, 3, 0, 0)


def test_a_quote_that_is_never_closed_costs_one_line(tmp_path: Path) -> None:
    bill = bill_of(tmp_path, HEAD + FIRST + OPEN + THIRD + 200 * FIRST)
    assert reasons(bill) == [(3, "a quote is opened and never closed")]
    assert bill.rejected["record"][0] == OPEN.rstrip()
    assert bill.files[0].accepted == 202


def test_two_quotes_that_are_never_closed_cost_two_lines(tmp_path: Path) -> None:
    bill = bill_of(tmp_path, HEAD + FIRST + OPEN + THIRD + FIRST + OPEN + THIRD)
    assert reasons(bill) == [(3, "a quote is opened and never closed"), (6, "a quote is opened and never closed")]
    assert total(bill) == 1 + 3 + 1 + 3


def test_rows_within_a_wrongly_quoted_value_are_not_swallowed(tmp_path: Path) -> None:
    content = (
        "BilledCost,ChargePeriodStart,BillingCurrency,ChargeDescription\n"
        '1,2025-10-01,USD,"a\n'
        "2,2025-10-01,USD,b\n"
        '3,2025-10-01,USD,c"\n'
        "4,2025-10-01,USD,d\n"
    )
    bill = bill_of(tmp_path, content)
    assert total(bill) == 2 + 4
    assert bill.rejected["row"].to_list() == [2, 4]


def test_a_quote_within_a_value_is_just_a_character(tmp_path: Path) -> None:
    inch = SECOND.replace("an hour", '12" disk')
    bill = bill_of(tmp_path, HEAD + FIRST + inch + THIRD + inch + "1,2\n" + inch)
    assert reasons(bill) == [(6, BROKEN_OFF.format(2))]
    assert bill.lines()["ChargeDescription"].to_list() == ["an hour", '12" disk', "an hour", '12" disk', '12" disk']


def test_bytes_that_are_no_text_cost_their_line(tmp_path: Path) -> None:
    content = (
        (HEAD + FIRST).encode() + SECOND.replace("an hour", "während").encode("latin-1") + THIRD.encode() + b"\x00\n"
    )
    bill = bill_of(tmp_path, content)
    assert reasons(bill) == [(3, "holds bytes that are no UTF-8 text"), (5, "holds bytes that are no UTF-8 text")]
    assert "w�hrend" in bill.rejected["record"][0]
    assert total(bill) == 4


def test_a_line_over_the_limit_costs_itself(tmp_path: Path) -> None:
    long = SECOND.replace("an hour", "x" * 3000)
    bill = bill_of(tmp_path, HEAD + (FIRST + long + THIRD) * 3 + long.strip(), max_line_bytes=1000)
    assert [row for row, _ in reasons(bill)] == [3, 6, 9, 11]
    assert {reason for _, reason in reasons(bill)} == {"line is longer than 1000 bytes"}
    assert total(bill) == 12
    assert bill.rejected["record"][0].startswith(SECOND[:50])


def test_a_line_of_five_megabytes_is_below_the_limit(tmp_path: Path) -> None:
    mapped = [line(ChargeDescription="x" * 5_000_000), line(ResourceId="other"), line(x_Note="y" * 9_000_000)]
    bill = bill_of(tmp_path, text(mapped, columns=[*COLUMNS, "x_Note"]))
    assert reasons(bill) == [(2, "ChargeDescription is longer than 4096 bytes")]
    assert len(bill.rejected["record"][0]) > 5_000_000
    assert bill.files[0].accepted == 2


@pytest.mark.parametrize("read_at_once", [1, 100, 1 << 20])
def test_line_numbers_hold_across_blocks_and_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read_at_once: int
) -> None:
    monkeypatch.setattr(sieve, "_READ", read_at_once)
    monkeypatch.setattr(rows, "_BATCH_BYTES", 3 * read_at_once)
    several = line(ChargeDescription="three\n\nlines")
    given_lines: list[Line] = [
        several,
        line(BilledCost="x"),
        *hours(20),
        several,
        line(ChargeCategory="Fee"),
        *hours(3),
    ]
    content = text(given_lines) + "\n\n1,2\n" + FIRST + "\r\n" + FIRST.replace("1,", "?,", 1)
    bill = bill_of(tmp_path, content)
    found = {reason: content.splitlines()[row - 1] for row, reason in reasons(bill)}
    assert [row for row, _ in reasons(bill)] == [5, 29, 35]
    assert found[BROKEN_OFF.format(2)] == "1,2"
    assert ",Fee," in found["ChargeCategory is none of Usage, Purchase, Tax, Credit, Adjustment"]
    assert ",x," in found["BilledCost is not a number"]
    assert "three\n\nlines" in bill.lines()["ChargeDescription"].to_list()


pieces = st.sampled_from(
    [FIRST, SECOND, "x,y\n", "\n", OPEN, SECOND.replace("an hour", '"two\nlines"'), '"\n', "\xff\n"]
)


@settings(max_examples=40)
@given(st.lists(pieces, max_size=12), st.integers(1, 400))
def test_whatever_a_file_holds_no_row_is_lost(given_pieces: list[str], read_at_once: int) -> None:
    content = (HEAD + "".join(given_pieces)).encode("latin-1")
    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory() as folder:
        patch.setattr(sieve, "_READ", read_at_once)
        bill = bill_of(Path(folder), content)
    clean = sum(piece in {FIRST, SECOND} for piece in given_pieces)
    several = sum("two\nlines" in piece for piece in given_pieces)
    if OPEN in given_pieces or '"\n' in given_pieces:
        assert clean <= bill.files[0].accepted <= clean + several
    else:
        assert bill.files[0].accepted == clean + several
    assert set(bill.lines()["BilledCost"].to_list()) <= {1, 2}


def test_a_large_file_that_is_misunderstood_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "_MOST_REFUSED", 10)
    path = write(tmp_path / "bill.csv", hours(50, BillingCurrency=""))
    with pytest.raises(
        SourceError, match=r"most of its rows are refused, 50 of the first 50 because BillingCurrency is miss"
    ):
        read_focus(path)
    mostly_right = [*hours(60), *hours(50, BillingCurrency="")]
    assert counts(read_focus(write(tmp_path / "bill.csv", mostly_right))) == (110, 60, 50, 0)


def test_a_rejected_row_keeps_all_it_held(tmp_path: Path) -> None:
    wrong = line(BilledCost="$1", Tags='{"note": "' + "é" * 40_000 + '"}', ChargeDescription='a "quoted"\nline')
    (record,) = bill_of(tmp_path, text([wrong])).rejected["record"]
    assert json.loads(record) == wrong


def test_what_cannot_be_read_adds_nothing_to_the_total_of_rejected_rows(tmp_path: Path) -> None:
    given_lines = [line(BilledCost="$5"), line(BilledCost="2.5E+0", ChargePeriodStart="soon"), line(BilledCost="1")]
    bill = bill_of(tmp_path, text(given_lines))
    assert total(bill, outcome="rejected") == Decimal("2.5")
    assert total(bill, "ListCost", "rejected") == 3
    assert total(bill, outcome="accepted") == 1


def test_the_charge_of_tomorrow_is_told_from_the_far_future(tmp_path: Path) -> None:
    moment = datetime(2025, 10, 1, tzinfo=UTC)
    given_lines = [
        line(ChargePeriodStart="2025-10-03", ChargePeriodEnd="2026-10-03"),
        line(ChargePeriodStart="2025-10-03 00:00:01", ChargePeriodEnd="2025-10-04"),
    ]
    bill = read_focus(write(tmp_path / "bill.csv", given_lines), observed_at=moment)
    assert reasons(bill) == [(3, "ChargePeriodStart is more than 2 days after it was observed")]
