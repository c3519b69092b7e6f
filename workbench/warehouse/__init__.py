"""The warehouse: one interface over Snowflake and over the embedded database that needs no account.

    with workbench.warehouse.session(settings) as warehouse:
        warehouse.merge(costs, "finops_curated.focus_costs")
        warehouse.query("SELECT SUM(BilledCost) AS c FROM finops_curated.focus_costs WHERE ProviderName = ?", ["AWS"])

The embedded database has one owner, a small process of its own that is started by whoever needs it first and ends
after minutes of idleness (`owner`, `client`). Everybody else is its client, over Snowflake's protocol on 127.0.0.1.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.warehouse.merge import Merged
    from workbench.warehouse.protocols import SettingsLike
    from workbench.warehouse.warehouse import Warehouse

__all__ = ["Merged", "Warehouse", "init", "serve", "session", "stop"]


def session(settings: "SettingsLike") -> "Warehouse":
    """A connection to the profile's warehouse, made at the first use; a context manager.

    Raises WarehouseUnavailable, with the reason and the way out, when nobody answers.
    """
    from workbench.warehouse.warehouse import Warehouse

    return Warehouse(settings)


def init(settings: "SettingsLike") -> list[str]:
    """Create or update all schemas, tables and views; may be run at any time. Returns the SQL files that ran."""
    with session(settings) as warehouse:
        return warehouse.init()


def serve(settings: "SettingsLike") -> None:
    """Be the owner of the embedded warehouse, in the foreground, until idle or interrupted."""
    from workbench.warehouse.client import serve as run

    run(settings)


def stop(settings: "SettingsLike") -> bool:
    """End the owner of the embedded warehouse; False if none was running. The next client starts a new one."""
    from workbench.warehouse.client import stop as end

    return end(settings)


def __getattr__(name: str) -> Any:  # noqa: ANN401 (a module's attribute)
    # Late, so that `import workbench` does not pay for the warehouse.
    if name == "Warehouse":
        from workbench.warehouse.warehouse import Warehouse

        return Warehouse
    if name == "Merged":
        from workbench.warehouse.merge import Merged

        return Merged
    raise AttributeError(f"module 'workbench.warehouse' has no attribute '{name}'; it has {', '.join(__all__)}")
