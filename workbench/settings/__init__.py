"""A profile (YAML and environment) as one typed object.

    >>> from workbench.settings import load
    >>> load("demo").sources[0].kind
    'demo'

A profile is one file in `params/`. `${VAR}` and `${VAR:-default}` inside text come from the environment, and so
do all secrets. Relative paths start at the project's root: the folder above `params/`, for a profile elsewhere
its own folder.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from collections.abc import Mapping as MappingOf
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from workbench.errors import SettingsError, did_you_mean
from workbench.settings.aws import AwsExport, AwsMetric, AwsSource
from workbench.settings.broker import EmbeddedBroker, KafkaBroker
from workbench.settings.file import ProfileFile, absolute, dotted, find, project_root, read, show_path
from workbench.settings.keys import Key, keys_of, word
from workbench.settings.metrics import (
    CloudwatchMetrics,
    CloudwatchQuery,
    FileMetrics,
    MetricSource,
    PrometheusMetrics,
    PrometheusServer,
)
from workbench.settings.model import (
    DemoSource,
    Embedded,
    FocusSource,
    Limits,
    Mapping,
    Names,
    ReportSettings,
    Settings,
    Snowflake,
)

__all__ = [
    "AwsExport",
    "AwsMetric",
    "AwsSource",
    "CloudwatchMetrics",
    "CloudwatchQuery",
    "DemoSource",
    "Embedded",
    "EmbeddedBroker",
    "FileMetrics",
    "FocusSource",
    "KafkaBroker",
    "Key",
    "Limits",
    "Mapping",
    "MetricSource",
    "Names",
    "PrometheusMetrics",
    "PrometheusServer",
    "ReportSettings",
    "Settings",
    "Snowflake",
    "describe",
    "load",
    "project_root",
    "write_input_profile",
]


def load(profile: str | Path, *, environment: MappingOf[str, str] | None = None, check_files: bool = True) -> Settings:
    """Read a profile.

    Parameters
    ----------
    profile
        A path to a YAML file, or a bare name: `demo` is the nearest `params/demo.yaml`, here or in a folder above.
    environment
        Instead of `os.environ`. WORKBENCH_DATA is `../shared/data` beside the project's root unless it is set.
    check_files
        Whether a source's file that does not exist is a fault.

    Raises
    ------
    SettingsError
        With one line a fault: file, line, key, value, what is allowed.
    """
    file = read(find(profile), _variables(os.environ if environment is None else environment))
    if not file.data:
        file.raise_faults()
    settings = _validate(file)
    if settings and check_files:
        faulty = {fault.key for fault in file.faults}
        for index, text in _missing_files(settings):
            if dotted(keys := ("sources", index, "path")) not in faulty:
                file.fault(keys, text)
    file.raise_faults()
    if settings is None:  # pragma: no cover (each error of pydantic's is a fault)
        raise SettingsError(f"{show_path(file.file)} can't be used")
    return settings


def describe() -> list[Key]:
    """All keys of a profile with kind, default and help, in the order in which a profile is written."""
    return [key for key in keys_of(Settings) if key.key]


def write_input_profile(file: str | Path, base: Settings | None, folder: Path) -> Path:
    """Write a profile for one bill that the user names (`--input FILE`) and return its path.

    It takes names, limits and report settings from `base`, keeps its data in an embedded warehouse of its own
    under the base's root (without a base: under the working folder), and is called after the file and its place.
    """
    bill = absolute(Path(file))
    if problem := _missing_file(bill):
        raise SettingsError(problem)
    root = base.root if base else Path.cwd()
    name = f"{_folder_name(bill.stem)}-{hashlib.sha256(str(bill).encode()).hexdigest()[:6]}"
    data: dict[str, Any] = {
        "name": name,
        "root": str(root),
        "sources": [{"name": bill.name, "kind": "focus", "path": str(bill)}],
    }
    if base:
        data["reports"] = str(base.reports)
        data |= base.model_dump(mode="json", include={"names", "limits", "report"}, exclude_unset=True)
        if isinstance(base.warehouse, Embedded):
            data["warehouse"] = base.warehouse.model_dump(mode="json")
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{name}.yaml"
    text = yaml.safe_dump(_escaped(data), sort_keys=False, allow_unicode=True)
    partial = target.with_suffix(f".{os.getpid()}.tmp")
    partial.write_text(f"# Written by `workbench report --input`; may be deleted.\n{text}", encoding="utf-8")
    partial.replace(target)  # two runs at once never see half a file
    return target


def _escaped(value: Any) -> Any:  # noqa: ANN401 (any JSON)
    """Text as a profile has to spell it, so that `${` in a file's name stays two characters."""
    if isinstance(value, dict):
        return {key: _escaped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    return value.replace("${", "$${") if isinstance(value, str) else value


def _variables(environment: MappingOf[str, str]) -> dict[str, str]:
    default = {"WORKBENCH_DATA": "../shared/data"}
    return {**environment, **({} if environment.get("WORKBENCH_DATA") else default)}


def _validate(file: ProfileFile) -> Settings | None:
    root = project_root(file.file)
    data = {"name": _folder_name(file.file.stem)} | file.data
    if isinstance(given := data.get("root", ""), str):
        data["root"] = root = absolute(root / Path(given).expanduser())
    try:
        return Settings.model_validate(data, context={"root": root, "file": file.file})
    except ValidationError as error:
        faulty = {fault.key for fault in file.faults}
        for detail in error.errors(include_url=False):
            keys, text = word(detail, Settings, file)
            above = {dotted(keys[:depth]) for depth in range(1, len(keys) + 1)}
            if text and not above & faulty:
                file.fault(keys, text)
        return None


def _folder_name(stem: str) -> str:
    return re.sub(r"[^\w.-]+", "-", stem).strip("-.") or "profile"


def _missing_files(settings: Settings) -> Iterator[tuple[int, str]]:
    for index, source in enumerate(settings.sources):
        if isinstance(source, FocusSource) and (problem := _missing_file(source.path)):
            yield index, problem


def _missing_file(path: Path) -> str:
    """What to say when there is no such file, folder or match; empty when there is one."""
    if path.exists() or (set(path.name) & set("*?[") and any(path.parent.glob(path.name))):
        return ""
    folder = next(parent for parent in path.parents if parent.is_dir())
    missing = path.relative_to(folder).parts
    there = sorted(item.name for item in folder.iterdir()) if folder != folder.parent else []
    shown = ", ".join(there[:8]) + (f" and {len(there) - 8} more" if len(there) > 8 else "")
    what = "no such file or folder" if len(missing) == 1 else f"no folder '{folder / missing[0]}'"
    holds = f"; {folder} holds: {shown}" if shown else f"; {folder} is all there is of it"
    return f"{what} (value '{path}'){holds}{did_you_mean(missing[0], there)}"
