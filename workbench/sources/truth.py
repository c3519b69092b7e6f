"""What really happened in a simulated estate. For benches and tests only: nothing that finds things out may read it.

import-linter holds that no module of the package imports this one.
"""

from pathlib import Path

import polars as pl

from workbench.errors import SourceError, did_you_mean

TABLES = ("incidents", "disturbances", "spikes", "drifts", "plans", "edges", "deployments", "energy")
"""Their columns stand in `sources.simulate.truth`."""


def truth(folder: Path, table: str) -> pl.DataFrame:
    """Read one table of the truth that `workbench simulate` wrote beside the estate in `folder`.

    Raises
    ------
    SourceError
        No such table, or no estate in the folder.
    """
    if table not in TABLES:
        raise SourceError(
            f"the truth has no table '{table}'; there are {', '.join(TABLES)}{did_you_mean(table, TABLES)}"
        )
    path = folder / "truth" / f"{table}.parquet"
    if not path.is_file():
        raise SourceError(f"{path} is not there; write an estate first: workbench simulate --out {folder}")
    return pl.read_parquet(path)
