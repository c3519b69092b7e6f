"""The Snowflake engine: the same statements, sent to an account."""

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from workbench.errors import WarehouseError, WarehouseUnavailable
from workbench.warehouse import models
from workbench.warehouse.protocols import SettingsLike, chain
from workbench.warehouse.staging import STAGE
from workbench.warehouse.transaction import transaction

PLAIN = ("account", "user", "role", "warehouse", "database", "authenticator")
SESSION_GONE = {390104, 390111, 390112, 390114, 390195, 250001, 250002, 250003}


def parameters(section: Any) -> dict[str, Any]:  # noqa: ANN401 (the profile's section)
    """What Snowflake's connector is called with, from the profile's section `warehouse`."""
    given: dict[str, Any] = {
        "paramstyle": "qmark",
        "arrow_number_to_decimal": True,
        "schema": "FINOPS_STAGING",
        "login_timeout": 60,
        "network_timeout": 3600,  # also the longest a statement may take
        "session_parameters": {"TIMEZONE": "UTC", "QUERY_TAG": "workbench", "LOCK_TIMEOUT": 1800},
    }
    if section.connection_name:
        given["connection_name"] = section.connection_name
    given |= {name: value for name in PLAIN if (value := getattr(section, name))}
    if section.password is not None:
        given["password"] = section.password.get_secret_value()
    if section.private_key_path is not None:
        given["private_key_file"] = str(section.private_key_path)
    return given


class Account:
    """The Snowflake engine."""

    name = "snowflake"

    def __init__(self, settings: SettingsLike) -> None:
        self._settings = settings

    def connect(self) -> Any:  # noqa: ANN401
        """A connection to the account."""
        import snowflake.connector
        from snowflake.connector.errors import Error

        section = self._settings.warehouse
        try:
            return snowflake.connector.connect(**parameters(section))
        except (Error, OSError) as error:
            where = section.connection_name or f"{section.account}, user {section.user}"
            raise WarehouseUnavailable(
                f"Snowflake ({where}) is not available: {error}. Check `warehouse:` in the profile, the network and "
                f"the secret's environment variable"
            ) from error

    def init(self) -> list[str]:
        """Run all SQL files in the account's database."""
        connection = self.connect()
        try:
            return models.run_all(connection.cursor())
        except Exception as error:
            raise WarehouseError(f"the SQL files could not be run: {error}") from error
        finally:
            connection.close()

    def gone(self, error: BaseException) -> bool:
        """Whether the session has expired or the line was cut."""
        return any(getattr(cause, "errno", None) in SESSION_GONE for cause in chain(error))

    def forget(self, cursor: Any, batch: str, *, failed: bool) -> None:  # noqa: ANN401
        """Files of a failed load would stay in the stage, and be paid for."""
        if failed:
            with contextlib.suppress(Exception):  # the error that brought us here says more
                cursor.execute(f"REMOVE {STAGE}/{batch}")

    def explain(self, text: str) -> str:
        """Snowflake's errors speak for themselves."""
        return "" if text else "try again"

    @contextmanager
    def transaction(self, cursor: Any, table: str) -> Iterator[None]:  # noqa: ANN401
        """A transaction that no other merge into `table` overlaps: the row in `merge_locks` makes the second wait."""
        cursor.execute("SELECT COUNT(*) FROM finops_staging.merge_locks WHERE table_name = ?", (table,))
        if not cursor.fetchone()[0]:
            cursor.execute("INSERT INTO finops_staging.merge_locks (table_name) VALUES (?)", (table,))
        with transaction(cursor):
            cursor.execute("UPDATE finops_staging.merge_locks SET taken_at = SYSDATE() WHERE table_name = ?", (table,))
            yield
