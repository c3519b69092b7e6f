"""The keys of a settings model: what they are called, what they may hold, and what to say when they don't.

Serves documentation and `--help` (`keys_of`) and error messages (`word`) from the same declarations.
"""

import types
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr, Tag
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticUndefined

from workbench.errors import did_you_mean
from workbench.settings.file import Keys, ProfileFile

SECRET_WORDS = ("password", "passphrase", "secret", "token", "credential", "private_key", "api_key", "apikey")

_SCALARS = {
    str: "text",
    int: "whole number",
    float: "number",
    date: "date, 2025-11-01",
    datetime: "time with zone, 2025-11-01T00:00:00Z",
    Path: "path",
    SecretStr: "secret, only as ${VARIABLE}",
}


_SENTENCES = {
    "model_type": "must be keys with values, indented below",
    "model_attributes_type": "must be keys with values, indented below",
    "dict_type": "must be names with values, indented below",
    "list_type": "must be a list, [a, b] or one `- ` a line",
    "path_type": "must be one path",
    "string_type": "must be text",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "string_too_long": "must be one character",
    "string_pattern_mismatch": "must be like 4GB",
}
"""Where pydantic's words are for programmers."""


class Key(NamedTuple):
    """One key of a profile."""

    key: str
    """`sources[].path`, `names.units.<name>`; a `<word>` stands for any name."""
    kind: str
    """What it may hold, in words."""
    default: str
    """As written in YAML; empty when the key must be given or has no value."""
    help: str
    """One sentence."""
    only: str
    """`kind: demo` when the key belongs to one variant of its section, else empty."""


def keys_of(model: type[BaseModel], above: str = "", only: str = "") -> Iterator[Key]:
    """All keys of a model in the order of their declaration, nested ones after their parent."""
    for name, field in model.model_fields.items():
        key = f"{above}.{name}".lstrip(".")
        yield Key(key, kind_of(field.annotation), _default(field), field.description or "", only)
        for suffix, tag, child in _children(field.annotation):
            yield from keys_of(child, key + suffix, tag or only)


def _children(annotation: object) -> Iterator[tuple[str, str, type[BaseModel]]]:
    """(suffix of the key, variant, model) for each model inside an annotation."""
    origin, args = get_origin(annotation), get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield "", "", annotation
    elif origin is list:
        yield from ((f"[]{suffix}", tag, child) for suffix, tag, child in _children(args[0]))
    elif origin is dict:
        yield from ((f".<name>{suffix}", tag, child) for suffix, tag, child in _children(args[1]))
    elif origin in (Annotated, Union, types.UnionType):
        tags = variants(annotation)
        if tags:
            for tag, child in tags.items():
                yield "", f"{_tag_key(child, tag)}: {tag}", child
        else:
            for arg in args[:1] if origin is Annotated else args:
                yield from _children(arg)


def _tag_key(model: type[BaseModel], tag: str) -> str:
    return next(name for name, field in model.model_fields.items() if tag in get_args(field.annotation))


def variants(annotation: object) -> dict[str, type[BaseModel]]:
    """Tag → model of a tagged union, else empty."""
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    found: dict[str, type[BaseModel]] = {}
    for arg in get_args(annotation):
        tags = [item.tag for item in get_args(arg)[1:] if isinstance(item, Tag)] if get_origin(arg) is Annotated else []
        if tags:
            found[tags[0]] = get_args(arg)[0]
    return found


def kind_of(annotation: object) -> str:
    """An annotation in a person's words."""
    origin, args = get_origin(annotation), get_args(annotation)
    if tags := variants(annotation):
        return f"section ({' | '.join(tags)})"
    if origin is Literal:
        return " | ".join(str(arg) for arg in args)
    if origin in (list, dict):
        return f"{'list of' if origin is list else 'name →'} {kind_of(args[-1])}"
    if origin in (Annotated, Union, types.UnionType):
        parts = args[:1] if origin is Annotated else args
        return " | ".join(kind_of(part) for part in parts if part is not type(None))
    known = next((kind for scalar, kind in _SCALARS.items() if annotation is scalar), "")
    return known or "section"


def _default(field: FieldInfo) -> str:
    default = field.default
    if default is PydanticUndefined or default is None:
        return ""
    return str(default)


class Place(NamedTuple):
    """Where a pydantic location points: the keys as a person wrote them, what they may hold, their section."""

    keys: Keys
    annotation: object
    field: FieldInfo | None
    parent: type[BaseModel] | None


def locate(model: type[BaseModel], loc: Sequence[str | int]) -> Place:
    """Follow a pydantic location through the models; tags of variants and `[key]` are no keys and fall away."""
    keys: Keys = ()
    annotation: object = model
    field: FieldInfo | None = None
    parent: type[BaseModel] | None = None
    for part in loc:
        annotation = _bare(annotation)
        tags = variants(annotation)
        if part in tags:
            annotation = tags[str(part)]
            continue
        if part == "[key]":
            continue
        keys = (*keys, part)
        parent, field = None, None
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            parent, field = annotation, annotation.model_fields.get(str(part))
            annotation = field.annotation if field else None
        elif get_origin(annotation) in (list, dict):
            annotation = get_args(annotation)[-1]
    return Place(keys, annotation, field, parent)


def _bare(annotation: object) -> object:
    """Without `| None` and, where no variant hangs on it, without Annotated."""
    if variants(annotation):
        return annotation
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        left = [arg for arg in get_args(annotation) if arg is not type(None)]
        return _bare(left[0]) if len(left) == 1 else annotation
    return annotation


def word(error: ErrorDetails, model: type[BaseModel], profile: ProfileFile) -> tuple[Keys, str]:
    """A pydantic error as (keys, sentence). Values shown are those in the file, never those of the environment."""
    kind, context = error["type"], error.get("ctx", {})
    place = locate(model, (*error["loc"], *context.get("keys", ())))
    if kind.startswith("default_factory"):
        return place.keys, ""
    given = _given(place, profile)
    if kind == "missing":
        return place.keys, f"missing; give {kind_of(place.annotation)}{_help(place.field)}"
    if kind == "extra_forbidden" and place.parent:
        allowed = list(place.parent.model_fields)
        near = did_you_mean(str(place.keys[-1]), allowed)
        return place.keys, f"unknown key{given}; allowed: {', '.join(allowed)}{near}"
    if kind in ("workbench_tag", "literal_error"):
        allowed = list(variants(place.annotation)) or [str(arg) for arg in get_args(_bare(place.annotation))]
        keys = place.keys
        if kind == "workbench_tag":
            keys = (*keys, str(context["discriminator"]).strip("'"))
            given = _given(place._replace(keys=keys), profile)
        near = did_you_mean(profile.texts.get(keys, ""), allowed)
        return keys, f"unknown{given}; allowed: {', '.join(allowed)}{near}"
    if kind == "string_type" and place.keys in profile.texts:
        return place.keys, f"must be text{given}; put it in quotes"
    message, _, advice = error["msg"].partition("; ")
    if not kind.startswith("workbench"):
        advice = "" if kind in _SENTENCES else f"allowed: {kind_of(place.annotation)}"
        message = _SENTENCES.get(kind, message.replace("Input should", "must", 1))
    return place.keys, f"{message[:1].lower()}{message[1:]}{given}{advice and '; '}{advice}"


def _help(field: FieldInfo | None) -> str:
    return f": {field.description}" if field and field.description else ""


def _given(place: Place, profile: ProfileFile) -> str:
    """` (value 'x')` as the file has it; hidden where it is, or may be meant as, a secret."""
    if "secret" in kind_of(place.annotation) if place.field else _secretive(str(place.keys[-1]) if place.keys else ""):
        return " (value hidden)"
    if (text := profile.texts.get(place.keys)) is not None:
        return f" (value {text if len(text) <= 60 else text[:57] + '…'!r})"
    value: object = profile.data
    for key in place.keys:
        value = value.get(key) if isinstance(value, dict) else value[int(key)] if isinstance(value, list) else None
    return " (a mapping)" if isinstance(value, dict) else " (a list)" if isinstance(value, list) else ""


def _secretive(key: str) -> bool:
    """Whether a key's name, near misses included, promises a secret."""
    folded = key.casefold()
    return any(word in folded for word in SECRET_WORDS) or bool(did_you_mean(folded, SECRET_WORDS))
