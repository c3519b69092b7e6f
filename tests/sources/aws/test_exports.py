"""Exports in S3: which statement is read, once, whole, and as FOCUS."""

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import polars as pl
import pytest
from moto import mock_aws

from tests.sources import bills
from tests.sources.aws.conftest import KeptCursors, recorded
from workbench.errors import SourceError
from workbench.settings import AwsExport, AwsSource
from workbench.sources.aws.calls import Aws
from workbench.sources.aws.exports import Exports, files_of
from workbench.sources.focus import read_focus

BUCKET, PREFIX = "acme-billing", "exports/finops"
DATA = f"{PREFIX}/data/BILLING_PERIOD=2025-10"
MANIFEST = f"{PREFIX}/metadata/BILLING_PERIOD=2025-10/finops-Manifest.json"


@pytest.fixture
def s3() -> Iterator[Any]:
    with mock_aws():
        client = boto3.client("s3", "us-east-1")
        client.create_bucket(Bucket=BUCKET)
        yield client


def exports(cursors: KeptCursors | None = None, prefix: str = PREFIX) -> Exports:
    return Exports(Aws(AwsSource(name="a", export=AwsExport(bucket=BUCKET, prefix=prefix))), cursors or KeptCursors())


def put(s3: Any, key: str, body: bytes | dict[str, Any]) -> None:
    s3.put_object(Bucket=BUCKET, Key=key, Body=body if isinstance(body, bytes) else json.dumps(body).encode())


def cur_rows(**more: Any) -> pl.DataFrame:
    """Two lines of CUR 2.0 with the types that Parquet has there."""
    start, end = datetime(2025, 10, 1), datetime(2025, 10, 1, 1)  # noqa: DTZ001 (as in the file: without a zone)
    rows = {
        "bill_payer_account_id": ["123456789012"] * 2, "line_item_usage_account_id": ["210987654321"] * 2,
        "bill_invoicing_entity": ["AWS Inc."] * 2, "line_item_legal_entity": ["AWS Inc."] * 2,
        "line_item_line_item_type": ["Usage", "SavingsPlanNegation"], "line_item_currency_code": ["USD"] * 2,
        "line_item_usage_start_date": [start] * 2, "line_item_usage_end_date": [end] * 2,
        "bill_billing_period_start_date": [start] * 2, "line_item_product_code": ["AmazonEC2"] * 2,
        "line_item_resource_id": ["i-1"] * 2, "product_region_code": ["eu-west-1"] * 2, "product_sku": ["SKU"] * 2,
        "pricing_rate_code": ["SKU.1.2"] * 2, "pricing_term": ["OnDemand", ""],
        "line_item_unblended_cost": [0.1 + 0.2, -1.25e-7], "line_item_usage_amount": [1.0, 1.0],
        "product": [[{"key": "product_name", "value": "Amazon Elastic Compute Cloud"}]] * 2,
        "resource_tags": [[{"key": "user_team", "value": "shop"}, {"key": "aws_createdBy", "value": "x"}], []],
        "unknown_column": ["x"] * 2, **more,
    }  # fmt: skip
    return pl.DataFrame(rows).with_columns(pl.col("line_item_unblended_cost").round(12))


def parquet(frame: pl.DataFrame, tmp_path: Path) -> bytes:
    frame.write_parquet(tmp_path / "part.parquet")
    return (tmp_path / "part.parquet").read_bytes()


def test_a_cur_export_in_parts_becomes_one_bill_with_the_exact_sum(s3: Any, tmp_path: Path) -> None:
    for number in (1, 2):
        put(s3, f"{DATA}/finops-0000{number}.snappy.parquet", parquet(cur_rows(), tmp_path))
    put(s3, MANIFEST, recorded("cur_manifest"))
    (manifest,) = exports().changed()
    (tmp_path / "fetched").mkdir()
    bill = read_focus(exports().fetch(manifest, tmp_path / "fetched"), observed_at=manifest.modified)
    lines = bill.lines()
    assert bill.rejected.height == 0
    assert lines.height == 4
    assert lines["event_id"].n_unique() == 4, "equal lines of two parts are two lines"
    assert lines["BilledCost"].sum() == 2 * (Decimal("0.3") - Decimal("0.000000125"))
    first = lines.filter(pl.col("ChargeCategory") == "Usage").row(0, named=True)
    assert first["ServiceName"] == "Amazon Elastic Compute Cloud"
    assert (first["ProviderName"], first["SubAccountId"], first["business_unit"]) == ("AWS", "210987654321", "shop")
    assert first["PricingCategory"] == "Standard"
    assert first["ChargePeriodStart"] == datetime(2025, 10, 1, tzinfo=UTC)
    assert set(lines["ChargeCategory"]) == {"Usage", "Adjustment"}


def test_cur_as_csv_says_the_same(s3: Any, tmp_path: Path) -> None:
    rows = cur_rows().with_columns(
        pl.lit('{"product_name": "Amazon EC2, big"}').alias("product"),
        pl.lit('{"user:team": "shop"}').alias("resource_tags"),
        pl.col(pl.Datetime).dt.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
    )
    put(s3, f"{DATA}/finops-00001.csv.gz", gzip.compress(rows.write_csv().encode()))
    put(s3, MANIFEST, {"dataFiles": [f"s3://{BUCKET}/{DATA}/finops-00001.csv.gz"]})
    (manifest,) = exports().changed()
    lines = read_focus(exports().fetch(manifest, tmp_path)).lines()
    assert lines["ServiceName"].to_list() == ["Amazon EC2, big"] * 2
    assert lines["business_unit"].to_list() == ["shop"] * 2
    assert lines["BilledCost"].sum() == Decimal("0.3") - Decimal("0.000000125")


def test_a_word_for_a_line_that_is_unknown_is_refused_with_the_word(s3: Any, tmp_path: Path) -> None:
    rows = cur_rows(line_item_line_item_type=["Usage", "SomethingNew"])
    put(s3, f"{DATA}/a.parquet", parquet(rows, tmp_path))
    put(s3, MANIFEST, {"dataFiles": [f"{DATA}/a.parquet"]})
    bill = read_focus(exports().fetch(exports().changed()[0], tmp_path))
    assert bill.rejected["value"].to_list() == ["SomethingNew"]


def test_a_focus_export_stays_as_it_is(s3: Any, tmp_path: Path) -> None:
    for number, first in ((1, "i-1"), (2, "i-2")):
        text = bills.text([bills.line(ResourceId=first), bills.line(ResourceId="i-3", ChargeDescription="a\nb")])
        put(s3, f"{DATA}/{number}.csv.gz", gzip.compress(text.encode()))
    put(s3, MANIFEST, {"dataFiles": [f"s3://{BUCKET}/{DATA}/{number}.csv.gz" for number in (1, 2)]})
    bill = read_focus(exports().fetch(exports().changed()[0], tmp_path))
    assert sorted(bill.lines()["ResourceId"]) == ["i-1", "i-2", "i-3", "i-3"]
    assert bill.lines()["BilledCost"].sum() == 5


def test_a_statement_is_read_once_and_again_when_its_manifest_is_new(s3: Any) -> None:
    cursors = KeptCursors()
    put(s3, MANIFEST, {"dataFiles": ["a"]})
    for manifest in exports(cursors).changed():
        exports(cursors).done(manifest)
    assert exports(cursors).changed() == []
    put(s3, MANIFEST, {"dataFiles": ["a", "b"]})
    assert [each.period for each in exports(cursors).changed()] == ["2025-10"]
    put(s3, MANIFEST.replace("2025-10", "2025-11"), {"dataFiles": ["c"]})
    assert [each.period for each in exports(cursors).changed()] == ["2025-10", "2025-11"]


def test_of_several_manifests_of_a_period_the_newest_counts() -> None:
    folder = f"{PREFIX}/metadata/BILLING_PERIOD=2025-10"
    old, new = f"{folder}/20251002-x/finops-Manifest.json", f"{folder}/20251001-y/finops-Manifest.json"
    days = {old: 3, new: 4, f"{folder}/readme.txt": 5}
    found = [
        {"Key": key, "ETag": '"1"', "LastModified": datetime(2025, 10, at, tzinfo=UTC)} for key, at in days.items()
    ]
    export = exports()
    object.__setattr__(export, "_listed", lambda _: found)
    (manifest,) = export.manifests()
    assert (manifest.key, manifest.modified) == (new, datetime(2025, 10, 4, tzinfo=UTC))


def test_what_is_missing_or_broken_is_named(s3: Any, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"s3://acme-billing/nowhere/metadata/ holds no manifest.*export.prefix"):
        exports(prefix="nowhere").manifests()
    put(s3, MANIFEST, {"dataFiles": [f"{DATA}/gone.parquet"]})
    with pytest.raises(SourceError, match=r"get_object: AWS refuses: NoSuchKey.*wait for the next delivery"):
        exports().fetch(exports().changed()[0], tmp_path)
    put(s3, f"{DATA}/bad.parquet", b"PAR1 no")
    put(s3, MANIFEST, {"dataFiles": [f"{DATA}/bad.parquet"]})
    with pytest.raises(SourceError, match="can't be read"):
        exports().fetch(exports().changed()[0], tmp_path)
    put(s3, f"{DATA}/1.csv", b"BilledCost,ChargePeriodStart\n1,2025-10-01\n")
    put(s3, f"{DATA}/2.csv", b"BilledCost\n1\n")
    put(s3, MANIFEST, {"dataFiles": [f"{DATA}/1.csv", f"{DATA}/2.csv"]})
    with pytest.raises(SourceError, match="finops/2025-10: its files have different columns"):
        exports().fetch(exports().changed()[0], tmp_path)
    with pytest.raises(SourceError, match="no-bucket|NoSuchBucket"):
        Exports(Aws(AwsSource(name="a", export=AwsExport(bucket="no-bucket", prefix="x"))), KeptCursors()).manifests()
    with pytest.raises(SourceError, match=r"has no export.*export.bucket"):
        Exports(Aws(AwsSource(name="a")), KeptCursors()).manifests()


@pytest.mark.parametrize("manifest", [b"", b"[]", b"{}", b'{"dataFiles": [1]}', b'{"dataFiles": []}', b"\xff"])
def test_what_is_no_manifest_is_an_error_and_no_empty_bill(manifest: bytes) -> None:
    with pytest.raises(SourceError, match="s3://b/m"):
        files_of(manifest, "b", "m")
