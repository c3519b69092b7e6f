"""Whose line is it: tags → business unit, project and environment, in the user's own words."""

import json
from collections.abc import Mapping

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
    unique = pairs.unique()
    held = [(_tags(tags), provider) for provider, tags in unique.iter_rows()]
    keys = {
        "business_unit": names.unit_tags,
        "project_id": names.project_tags,
        "environment": names.environment_tags,
    }
    table = unique.with_columns(
        pl.Series(column, [_first(tags, wanted, provider) for tags, provider in held], pl.String)
        for column, wanted in keys.items()
    )
    found = pairs.join(table, on=["ProviderName", "Tags"], how="left", nulls_equal=True, maintain_order="left")
    columns = {name: found[name] for name in keys}
    columns |= {name: column.zip_with(column.is_not_null(), columns[name]) for name, column in given.items()}
    unit = columns["business_unit"].fill_null(UNALLOCATED)
    return [unit.replace(names.units) if names.units else unit, columns["project_id"], columns["environment"]]


def _tags(text: str | None) -> dict[str, str]:
    """Tags by key without case and outer blanks."""
    if not text:
        return {}
    try:
        tags = json.loads(text)
    except json.JSONDecodeError:
        return {}
    if not isinstance(tags, dict):
        return {}
    return {key.strip().casefold(): str(value).strip() for key, value in tags.items() if value not in (None, "")}


def _first(tags: dict[str, str], keys: Mapping[str, list[str]], provider: str | None) -> str | None:
    wanted = keys.get(provider or "", keys.get("default", []))
    return next((tags[folded] for key in wanted if tags.get(folded := key.strip().casefold())), None)
