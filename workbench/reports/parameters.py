"""The parameters that a notebook declares in its tagged cell, and values for them.

    top: int = 10          # how many services to show

Only int, float, str and bool: what JSON, a command line and papermill all write the same way. papermill itself warns
of an unknown name and checks no type, so all is checked here, before anything is started.
"""

import ast
import io
import tokenize
from dataclasses import dataclass
from typing import TypeAlias

from workbench.errors import ReportError, UsageError

Value: TypeAlias = int | float | str | bool

RESERVED = ("profile", "as_of", "known_at", "run_dir")
"""What the runner tells every notebook that has a parameter of that name."""

KINDS: dict[str, type] = {"int": int, "float": float, "str": str, "bool": bool}
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True)
class Parameter:
    """One declared parameter: `kind` is int, float, str or bool."""

    name: str
    kind: str
    default: Value
    help: str


def declared(source: str, where: str) -> tuple[Parameter, ...]:
    """The parameters of a cell's source; `ReportError` for one of another type or without a plain default."""
    try:
        body = ast.parse(source).body
    except SyntaxError as error:
        raise ReportError(
            f"{where}: the cell tagged 'parameters' is no Python: line {error.lineno}: {error.msg}"
        ) from error
    comments = _comments(source)
    found = []
    kinds = ", ".join(KINDS)
    for statement in body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            name, kind = statement.target.id, ast.unparse(statement.annotation)
        elif isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            name, kind = statement.targets[0].id, ""
        else:
            continue
        default = _literal(statement.value)
        kind = kind or type(default).__name__
        if kind not in KINDS or not _fits(default, kind):
            raise ReportError(f"{where}: parameter '{name}: {kind}' must be one of {kinds}, with a plain default")
        found.append(Parameter(name, kind, KINDS[kind](default), comments.get(statement.end_lineno or 0, "")))
    return tuple(found)


def typed(parameter: Parameter, given: object, where: str) -> Value:
    """`given` as the parameter's type, text read as a command line would mean it; `UsageError` when it can't be."""
    value: object = given
    try:
        if isinstance(given, str) and parameter.kind != "str":
            value = _TRUTH[given.casefold()] if parameter.kind == "bool" else KINDS[parameter.kind](given)
    except (KeyError, ValueError):
        value = None
    if not _fits(value, parameter.kind):
        raise UsageError(
            f"{where}: parameter '{parameter.name}' takes {parameter.kind}, like its default {parameter.default!r}, "
            f"not {given!r}"
        )
    read: Value = KINDS[parameter.kind](value)
    return read


def _fits(value: object, kind: str) -> bool:
    if kind == "float":
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is KINDS[kind]


def _literal(node: ast.expr | None) -> Value | None:
    try:
        value = ast.literal_eval(node) if node is not None else None
    except ValueError:
        return None
    return value if isinstance(value, int | float | str) else None


def _comments(source: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {token.start[0]: token.string.lstrip("# ").strip() for token in tokens if token.type == tokenize.COMMENT}
