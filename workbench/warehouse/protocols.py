"""What the warehouse needs to know of a profile, and what an engine is to the warehouse."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol


class SettingsLike(Protocol):
    """The part of `workbench.settings.Settings` that is read here."""

    @property
    def state(self) -> Path:
        """The profile's state folder; the embedded database lies in its `warehouse/`."""

    @property
    def warehouse(self) -> Any:  # noqa: ANN401 (Embedded or Snowflake, told apart by `engine`)
        """The profile's section `warehouse`."""


class Engine(Protocol):
    """One kind of warehouse: how to reach it, and the few things that the kinds do differently."""

    name: str
    """`embedded` or `snowflake`."""

    def connect(self) -> Any:  # noqa: ANN401 (snowflake.connector's connection)
        """A new connection of Snowflake's connector, its current schema `finops_staging`."""

    def init(self) -> list[str]:
        """Run all SQL files; returns their names."""

    def gone(self, error: BaseException) -> bool:
        """Whether `error` means that the other side is no longer there, so that connecting again may help."""

    def forget(self, cursor: Any, batch: str, *, failed: bool) -> None:  # noqa: ANN401
        """Take away what is left of an upload; after a good one COPY has purged the files."""

    def explain(self, text: str) -> str:
        """What a person can do about an error that says `text`; "" when there is nothing to add."""

    def transaction(self, cursor: Any, table: str) -> AbstractContextManager[None]:  # noqa: ANN401
        """A transaction that no other merge into `table` overlaps."""


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and all its causes."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
