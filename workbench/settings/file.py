"""A profile's YAML as plain data that remembers its lines.

`find` turns a bare name into a file, `read` turns the file into data with `${VAR}` filled in. Nothing here knows
which keys a profile has: that is `workbench.settings`. Everything that is wrong is a `Fault`, collected rather
than raised, so that a person mends a profile in one go.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import yaml

from workbench.errors import SettingsError, did_you_mean

Keys = tuple[str | int, ...]

LARGEST_PROFILE = 1_000_000
"""Bytes. A profile is written by hand; a larger file was named by mistake."""

MOST_VALUES = 20_000
"""Values after aliases are followed: `&a [*b, *b]` nested a few times makes billions."""

DEEPEST = 20

_VARIABLE = re.compile(r"(?P<escape>\$\$\{)|\$\{(?P<name>[A-Za-z_]\w*)(?::-(?P<default>[^}]*))?\}|(?P<broken>\$\{)")
_SUFFIXES = (".yaml", ".yml")


class FromEnvironment(str):
    """Text that is one `${VAR}` and nothing else: the only way in which a secret may come."""

    __slots__ = ()


class Fault(NamedTuple):
    """One thing that is wrong in a profile."""

    line: int
    key: str
    text: str


@dataclass
class ProfileFile:
    """What a file holds: `data` with variables filled, and by key the line and the scalar as written."""

    file: Path
    data: dict[str, object] = field(default_factory=dict)
    lines: dict[Keys, int] = field(default_factory=dict)
    texts: dict[Keys, str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def line(self, keys: Keys) -> int:
        """Line of the key, or of the nearest key above it that the file has."""
        while keys and keys not in self.lines:
            keys = keys[:-1]
        return self.lines.get(keys, 1)

    def fault(self, keys: Keys, text: str) -> None:
        """Note a fault at a key."""
        self.faults.append(Fault(self.line(keys), dotted(keys), text))

    def raise_faults(self) -> None:
        """Raise all faults as one SettingsError, a line each, in the order of the file."""
        if self.faults:
            shown = show_path(self.file)
            ordered = sorted(dict.fromkeys(self.faults), key=lambda fault: fault.line)
            raise SettingsError(
                "\n".join(": ".join(filter(None, (f"{shown}:{f.line}", f.key, f.text))) for f in ordered)
            )


def dotted(keys: Keys) -> str:
    """`("sources", 0, "path")` as `sources[0].path`."""
    parts = (f"[{key}]" if isinstance(key, int) else f".{_shown(key)}" for key in keys)
    return "".join(parts).removeprefix(".")


def _shown(key: str) -> str:
    return key if key and key.isprintable() else repr(key)


def show_path(path: Path) -> str:
    """Relative to the working folder when it lies within, else absolute."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def absolute(path: Path) -> Path:
    """Absolute, `~` and `..` resolved, links kept: a mounted profile is often a link into another folder."""
    return Path(os.path.normpath(path.expanduser().absolute()))


def project_root(path: Path) -> Path:
    """Where a profile's relative paths start: the folder above `params/`, else the profile's own folder."""
    folder = absolute(path).parent
    return folder.parent if folder.name == "params" else folder


def find(profile: str | Path) -> Path:
    """The file of a profile: a path as it is, a bare name from the nearest `params/` here or in a folder above.

    Raises SettingsError naming what there is, with a near miss.
    """
    given = Path(profile).expanduser()
    is_name = isinstance(profile, str) and given.name == profile and given.suffix.lower() not in _SUFFIXES
    if not is_name:
        if given.is_file():
            return absolute(given)
        raise SettingsError(f"{_missing(given)}{_others(given.parent, given.name)}")
    if not profile:
        raise SettingsError("the profile's name is empty; give a name from params/ or a path to a YAML file")
    folders = [folder / "params" for folder in _places() if (folder / "params").is_dir()]
    for folder in folders:
        for suffix in _SUFFIXES:
            if (file := folder / f"{profile}{suffix}").is_file():
                return file
    if not folders:
        raise SettingsError(
            f"no profile '{profile}': there is no params/ folder here or above; give a path to a YAML file"
        )
    raise SettingsError(f"no profile '{profile}'{_others(folders[0], str(profile), names=True)}")


def _places() -> list[Path]:
    here = Path.cwd()
    return [here, *here.parents, Path(__file__).parent.parent]


def _missing(path: Path) -> str:
    if path.is_dir():
        return f"'{path}' is a folder; a profile is one YAML file"
    return f"no profile at '{path}'"


def _others(folder: Path, given: str, *, names: bool = False) -> str:
    if not folder.is_dir():
        return f"; there is no folder '{folder}'"
    files = sorted(file for suffix in _SUFFIXES for file in folder.glob(f"*{suffix}"))
    there = [file.stem if names else file.name for file in files]
    return f"; {show_path(folder)}/ holds: {', '.join(there) or 'no YAML file'}{did_you_mean(given, there)}"


def read(file: Path, environment: Mapping[str, str]) -> ProfileFile:
    """Read a profile; its faults so far are in `.faults`."""
    profile = ProfileFile(file)
    try:
        node = _compose(file)
    except SettingsError as error:
        profile.fault((), str(error))
        return profile
    except yaml.YAMLError as error:
        profile.faults.append(_syntax(error))
        return profile
    if not isinstance(node, yaml.MappingNode):
        found = "is empty" if node is None else "holds no `key: value` lines at its top"
        profile.fault((), f"the profile {found}; it needs at least `sources:`")
        return profile
    walk = _Walk(profile, environment)
    data = walk.value(node, ())
    profile.data = data if isinstance(data, dict) and walk.values <= MOST_VALUES else {}
    return profile


def _compose(file: Path) -> yaml.Node | None:
    try:
        raw = file.read_bytes()
        if len(raw) > LARGEST_PROFILE:
            raise SettingsError(
                f"{len(raw):,} bytes; a profile has at most {LARGEST_PROFILE:,}. Is this the right file?"
            )
        node: yaml.Node | None = yaml.compose(raw.decode("utf-8-sig"), Loader=yaml.SafeLoader)
    except OSError as error:
        raise SettingsError(f"can't be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"is no UTF-8 text (byte {error.start}); save it as UTF-8") from None
    except RecursionError:
        raise SettingsError("is nested too deeply to be a profile") from None
    return node


def _syntax(error: yaml.YAMLError) -> Fault:
    # Only the problem's words: PyYAML's own text quotes the line, and a line may hold a secret.
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or "it has a character that YAML does not allow"
    problem = re.sub(r"(alias|anchor|handle) '.*'", r"\1", problem)
    column = f" at column {mark.column + 1}" if mark else ""
    return Fault(mark.line + 1 if mark else 1, "", f"not valid YAML{column}: {problem}")


class _Walk:
    """From nodes to plain data, noting lines and faults on the way."""

    def __init__(self, profile: ProfileFile, environment: Mapping[str, str]) -> None:
        self.profile = profile
        self.environment = environment
        self.values = 0
        self.loader = yaml.SafeLoader("")

    def value(self, node: yaml.Node, keys: Keys) -> object:
        self.profile.lines.setdefault(keys, node.start_mark.line + 1)
        self.values += 1
        if self.values > MOST_VALUES or len(keys) > DEEPEST:
            if self.values <= MOST_VALUES + 1:
                self.profile.fault(
                    keys[:2],
                    f"more than {MOST_VALUES:,} values or {DEEPEST} levels; write aliases out or take them away",
                )
            self.values = MOST_VALUES + 1  # ends the walk at once, however often an alias comes back
            return None
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, keys)
        if isinstance(node, yaml.SequenceNode):
            return [
                self.value(item, (*keys, index)) for index, item in enumerate(node.value) if self.values <= MOST_VALUES
            ]
        return self.scalar(node, keys)

    def mapping(self, node: yaml.MappingNode, keys: Keys) -> dict[str, object]:
        found: dict[str, object] = {}
        first: dict[str, int] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key is None or key_node.tag.endswith(":merge"):
                self.profile.faults.append(
                    Fault(
                        line,
                        dotted(keys),
                        "a key must be plain text; `<<`, lists and mappings are not read as keys",
                    )
                )
            elif key in found:
                text = f"given twice, first on line {first[key]}; keep one"
                self.profile.faults.append(Fault(line, dotted((*keys, key)), text))
            elif self.values <= MOST_VALUES:
                first[key] = self.profile.lines[(*keys, key)] = line
                found[key] = self.value(value_node, (*keys, key))
        return found

    def scalar(self, node: yaml.Node, keys: Keys) -> object:
        raw = str(node.value)
        self.profile.texts[keys] = raw
        kind = node.tag.rpartition(":")[2]
        if kind == "timestamp":
            return raw  # as text: YAML's own reading loses the zone's absence and dies on 2025-13-01
        if kind == "str":
            return self.filled(raw, keys)
        try:
            return self.loader.construct_object(node, deep=True)
        except (yaml.YAMLError, ValueError):
            self.profile.fault(
                keys,
                "YAML tags (`!…`) and a bare `=` are not read; write plain text, in quotes if it has such signs",
            )
            return None

    def filled(self, raw: str, keys: Keys) -> str:
        missing = False

        def fill(match: re.Match[str]) -> str:
            nonlocal missing
            if match["escape"]:
                return "${"
            if match["broken"]:
                missing = True
                self.profile.fault(
                    keys,
                    "a `${` without a name and `}`; write ${NAME}, ${NAME:-default}, or $${ for the characters",
                )
                return ""
            value = self.environment.get(match["name"]) or match["default"]
            if value is None:
                missing = True
                state = "is empty" if match["name"] in self.environment else "is not set"
                near = did_you_mean(match["name"], self.environment)
                self.profile.fault(
                    keys, f"the environment variable {match['name']} {state}; set it before the run{near}"
                )
            return value or ""

        text = _VARIABLE.sub(fill, raw)
        whole = _VARIABLE.fullmatch(raw)
        from_environment = whole and whole["name"] and whole["default"] is None
        return FromEnvironment(text) if from_environment and not missing else text
