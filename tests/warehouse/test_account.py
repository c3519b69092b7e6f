"""The Snowflake engine, as far as it can be known without an account."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from workbench import warehouse
from workbench.errors import UsageError
from workbench.settings import DemoSource, Settings, Snowflake
from workbench.warehouse.account import parameters


def section(**fields: Any) -> Snowflake:
    return Snowflake(engine="snowflake", **fields)


def test_the_fields_become_the_connectors_parameters() -> None:
    given = parameters(section(account="org-acc", user="me", role="R", warehouse="WH", database="DB"))
    for name, value in {"account": "org-acc", "user": "me", "role": "R", "warehouse": "WH", "database": "DB"}.items():
        assert given[name] == value
    assert given["paramstyle"] == "qmark"
    assert given["arrow_number_to_decimal"] is True
    assert given["session_parameters"]["TIMEZONE"] == "UTC"


def test_what_is_not_given_is_not_passed_on() -> None:
    given = parameters(section(connection_name="work"))
    assert given["connection_name"] == "work"
    assert not {"account", "user", "password", "private_key_file", "role"} & given.keys()


def test_nothing_waits_for_ever() -> None:
    given = parameters(section(connection_name="work"))
    assert given["login_timeout"] == 60
    assert given["network_timeout"] == 3600


def test_a_secret_reaches_the_connector_and_no_repr() -> None:
    from pydantic import SecretStr

    given = section(account="a", user="u").model_copy(update={"password": SecretStr("hush")})
    assert parameters(given)["password"] == "hush"  # noqa: S105
    assert "hush" not in repr(given)


def test_a_private_key_is_a_file(tmp_path: Path) -> None:
    given = section(account="a", user="u").model_copy(update={"private_key_path": tmp_path / "key.p8"})
    assert parameters(given)["private_key_file"] == str(tmp_path / "key.p8")


def test_making_the_warehouse_does_not_connect(tmp_path: Path) -> None:
    settings = Settings(
        name="t",
        root=tmp_path,
        sources=[DemoSource(name="d", end=date(2025, 1, 1))],
        warehouse=section(connection_name="x"),
    )
    found = warehouse.session(settings)
    assert found.engine == "snowflake"
    assert repr(found) == "Warehouse(snowflake, not connected)"


@pytest.mark.parametrize("what", [warehouse.serve, warehouse.stop])
def test_an_account_has_no_owner(tmp_path: Path, what: Callable[[Settings], object]) -> None:
    settings = Settings(
        name="t",
        root=tmp_path,
        sources=[DemoSource(name="d", end=date(2025, 1, 1))],
        warehouse=section(connection_name="x"),
    )
    with pytest.raises(UsageError, match="only the embedded one has an owner"):
        what(settings)


def test_an_expired_session_is_known_for_what_it_is() -> None:
    from snowflake.connector.errors import ProgrammingError

    from workbench.warehouse.account import Account

    account = Account(None)  # type: ignore[arg-type]
    assert account.gone(ProgrammingError(msg="token expired", errno=390114))
    assert not account.gone(ProgrammingError(msg="no such table", errno=2003))
