"""The kinds of value that a profile holds, each with the sentence a person reads when it is wrong."""

import re
import zoneinfo
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, SecretStr, ValidationInfo
from pydantic_core import PydanticCustomError

from workbench import focus
from workbench.errors import did_you_mean
from workbench.settings.file import FromEnvironment, absolute

OWN_TARGETS = ("business_unit", "project_id", "environment")
"""What a mapping may fill beside FOCUS columns."""


def fault(text: str, *keys: str | int) -> PydanticCustomError:
    """An error that `profile_keys.word` shows as it is, at the keys below the place that raised it."""
    # The text as a parameter, because pydantic reads braces in the template.
    return PydanticCustomError("workbench", "{text}", {"text": text, "keys": keys})


def _number(value: object) -> object:
    if isinstance(value, bool):
        raise fault("must be a number, not yes or no")
    return value


def _day(value: object) -> object:
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise fault("is no date; write 2025-11-01") from None
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    raise fault("is no date; write 2025-11-01")


def _moment(value: object) -> object:
    wanted = "write the time with its zone, 2025-11-01T00:00:00Z, or a date for its midnight in UTC"
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
            value = moment.replace(tzinfo=UTC) if len(value) <= len("2025-11-01") else moment
        except ValueError:
            raise fault(f"is no time; {wanted}") from None
    if not isinstance(value, datetime):
        raise fault(f"is no time; {wanted}")
    if value.tzinfo is None:
        raise fault(f"has no zone; {wanted}")
    return value.astimezone(UTC)


def _given(value: object) -> object:
    if value == "":
        raise fault("the path is empty")
    return value


def _under_root(path: Path, info: ValidationInfo) -> Path:
    root = (info.context or {}).get("root")
    return absolute(root / path.expanduser()) if root else path


def _only_from_environment(value: object) -> object:
    if isinstance(value, SecretStr):
        return value
    if isinstance(value, FromEnvironment):
        return SecretStr(str(value))
    raise fault("a secret may not stand in a profile; write ${NAME} and set the environment variable NAME")


def _target(name: str) -> str:
    if name not in focus.COLUMNS and name not in OWN_TARGETS:
        near = did_you_mean(name, (*focus.COLUMNS, *OWN_TARGETS))
        raise fault(f"is no column of a bill{near}; allowed: FOCUS 1.2 columns, {', '.join(OWN_TARGETS)}")
    return name


def _zone(name: str) -> str:
    if name != "UTC" and name not in (known := zoneinfo.available_timezones()):
        raise fault(f"is no time zone; write a name like Europe/Berlin or UTC{did_you_mean(name, known)}")
    return name


def _name(name: str) -> str:
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise fault("must be letters, digits, `_`, `-` and `.` only: it becomes a folder's name")
    return name


Whole = Annotated[int, BeforeValidator(_number)]
Day = Annotated[date, BeforeValidator(_day)]
Moment = Annotated[datetime, BeforeValidator(_moment)]
Location = Annotated[Path, BeforeValidator(_given), AfterValidator(_under_root)]
Secret = Annotated[SecretStr, BeforeValidator(_only_from_environment)]
Target = Annotated[str, AfterValidator(_target)]
Text = Annotated[str, Field(min_length=1)]


Zone = Annotated[str, AfterValidator(_zone)]
FolderName = Annotated[str, AfterValidator(_name)]
Number = Annotated[float, BeforeValidator(_number)]


def chosen_by(key: str, default: str) -> Discriminator:
    """Choose the variant of a section by one of its keys."""

    def tag(value: object) -> str:
        found = value.get(key, default) if isinstance(value, dict) else getattr(value, key, default)
        return str(found)

    return Discriminator(
        tag,
        custom_error_type="workbench_tag",
        custom_error_message="unknown {discriminator}",
        custom_error_context={"discriminator": key},
    )
