"""Whose line is it: tags → business unit, project and environment, in the user's own words."""

import json
from collections.abc import Mapping
from functools import lru_cache

import polars as pl

from workbench.focus import UNALLOCATED
from workbench.settings import Names


def owners(lines: pl.DataFrame, given: Mapping[str, pl.Series], names: Names) -> list[pl.Series]:
    """Return the columns `business_unit`, `project_id` and `environment` of `lines`.

    Parameters
    ----------
    lines
        Needs `ProviderName` and `Tags` (a JSON object as text; anything else counts as no tags).
    given
        Columns that a mapping has filled already; tags fill what is left empty.
    names
        Tag keys by provider, and the unit names to show.
    """
    pairs = lines.select("ProviderName", "Tags")
    keys = {
        "business_unit": _folded(names.unit_tags),
        "project_id": _folded(names.project_tags),
        "environment": _folded(names.environment_tags),
    }
    unique = pairs.unique()
    values = [
        _first_of_each(tags, tuple(wanted.get(provider or "", wanted.get("default", ())) for wanted in keys.values()))
        for provider, tags in unique.iter_rows()
    ]
    table = unique.hstack(pl.DataFrame(values, schema=dict.fromkeys(keys, pl.String), orient="row"))
    found = pairs.join(table, on=["ProviderName", "Tags"], how="left", nulls_equal=True, maintain_order="left")
    columns = {name: found[name] for name in keys}
    columns |= {name: column.zip_with(column.is_not_null(), columns[name]) for name, column in given.items()}
    unit = columns["business_unit"].fill_null(UNALLOCATED)
    return [unit.replace(names.units) if names.units else unit, columns["project_id"], columns["environment"]]


def _folded(keys: Mapping[str, list[str]]) -> dict[str, tuple[str, ...]]:
    return {provider: tuple(key.strip().casefold() for key in wanted) for provider, wanted in keys.items()}


@lru_cache(maxsize=4096)
def _first_of_each(text: str | None, wanted: tuple[tuple[str, ...], ...]) -> tuple[str | None, ...]:
    """Return the value of the first key that the tags hold, for each tuple of keys. Bills repeat their tags."""
    tags = _tags(text)
    return tuple(next((tags[key] for key in keys if tags.get(key)), None) for keys in wanted)


def _tags(text: str | None) -> dict[str, str]:
    """Tags by key without case and outer blanks."""
    if not text:
        return {}
    try:
        tags = json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        return {}
    if not isinstance(tags, dict):
        return {}
    return {key.strip().casefold(): str(value).strip() for key, value in tags.items() if value not in (None, "")}
