"""`workbench stream redrive`: from the table of an embedded profile, and from a Kafka's topic."""

import json
from collections.abc import Callable
from decimal import Decimal

import pytest

from tests.pipelines.conftest import MakeProfile
from tests.pipelines.test_road import held, on_kafka
from tests.streaming.conftest import good_values, send_raw
from workbench.cli import main
from workbench.errors import UsageError
from workbench.pipelines.redrive import choice_of, redrive_letters
from workbench.pipelines.road import open_road
from workbench.settings import Settings
from workbench.streaming.feed import Values
from workbench.streaming.redrive import Choice
from workbench.warehouse import Warehouse

Open = Callable[[Settings], Warehouse]

GOOD = good_values(10).values
LONG = [value.replace(b'"service":"compute"', b'"service":"' + b"x" * 5_000 + b'"') for value in GOOD[:4]]
BROKEN = [b'{"event_id": "\xff"}', b"[1]"]


def test_options_that_mean_nothing_are_refused() -> None:
    with pytest.raises(UsageError, match="--limit is the number of letters .* 0 is none"):
        choice_of("", 0, "")
    with pytest.raises(UsageError, match="--as-version 2: events of version 1 are known"):
        choice_of("", None, "2")
    assert choice_of("x", 3, "1") == Choice("x", any_version=True, limit=3)


@pytest.mark.parametrize(
    ("reason", "plain", "as_version"),
    [
        ("service is longer than 4096 bytes", True, True),
        ("no schema_version in the header; 1 is known", False, True),
        ("another schema_version in the header than 1, which is known", False, True),
    ],
)
def test_a_fault_of_the_version_is_taken_only_where_the_version_is_said(
    reason: str, *, plain: bool, as_version: bool
) -> None:
    assert (Choice().takes(reason), Choice(any_version=True).takes(reason)) == (plain, as_version)


@pytest.mark.slow
def test_letters_of_a_run_that_has_ended_take_the_road_again_from_the_table(
    make_profile: MakeProfile, open_warehouse: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = make_profile()
    warehouse = open_warehouse(profile)
    values = [*LONG, *BROKEN, *GOOD[4:]]
    with open_road(warehouse, profile) as road:
        assert road.carry("cost", [Values(values, ["shop"] * len(values))]).dead == 6
    assert held(warehouse) == (6, Decimal(9))

    dry = redrive_letters(profile, Choice(reason="longer"), dry_run=True)
    assert (dry["read"], dry["redriven"], dry["left"]) == (6, 4, 2)
    assert held(warehouse) == (6, Decimal(9))

    monkeypatch.setattr("workbench.events._LONGEST_TEXT", 10_000)
    done = redrive_letters(profile, Choice(reason="longer", limit=3))
    assert (done["read"], done["redriven"], done["left"]) == (6, 3, 3)
    assert held(warehouse) == (9, Decimal("13.5"))

    rest = redrive_letters(profile, Choice())
    assert (rest["read"], rest["redriven"]) == (3, 3), "what went back is not asked again"
    assert held(warehouse) == (10, Decimal(15))
    again = redrive_letters(profile, Choice())
    assert (again["read"], again["redriven"]) == (2, 2), "what is still bad is a letter of the new run"


@pytest.mark.slow
@pytest.mark.real
def test_the_command_says_what_went_back_and_what_stays(
    make_profile: MakeProfile, kafka_address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.streaming.test_contract import Table, take
    from workbench.streaming.clusters import connect

    profile = make_profile(on_kafka(kafka_address))
    with connect(profile.broker) as broker:
        broker.prepare()
        send_raw(broker, [{"key": "shop", "value": value} for value in (*LONG, *BROKEN)])
        assert take(broker, Table()).dead == 6
    command = ["stream", "redrive", "--profile", str(profile.file), "--reason", "not a JSON"]
    for more, dry in ((["--dry-run"], True), ([], False)):
        with pytest.raises(SystemExit) as ended:
            main([*command, *more, "--json"])
        assert ended.value.code in {0, None}
        told = json.loads(capsys.readouterr().out)
        assert (told["read"], told["redriven"], told["left"], told["dry_run"]) == (6, 2, 4, dry)
        assert {letter["reason"]: letter["redriven"] for letter in told["letters"]} == {
            "is not a JSON object": 2,
            "service is longer than 4096 bytes": 0,
        }
