"""How a number and a moment are written beside a mark."""

import datetime as dt
from decimal import ROUND_HALF_EVEN, Context, Decimal

MINUS = "\N{MINUS SIGN}"


def amount(value: Decimal | float | None, places: int = 2, *, signed: bool = False) -> str:
    """`1,234.56`, with a true minus sign; `+` before gains when `signed`; an en dash for nothing.

    Rounded half to even to `places`. A small number that would round to zero keeps its first two digits instead
    (`0.0042`), so that something never reads as nothing.
    """
    if value is None:
        return "\N{EN DASH}"
    exact = value if isinstance(value, Decimal) else Decimal(repr(value))
    if not exact.is_finite():
        return "\N{EN DASH}"
    rounded = _rounded(exact, places)
    sign = MINUS if rounded < 0 else "+" if signed and rounded > 0 else ""
    return f"{sign}{rounded.copy_abs():,f}"


def _rounded(exact: Decimal, places: int) -> Decimal:
    step = Decimal(1).scaleb(-places)
    if exact and abs(exact) < step / 2:
        step = Decimal(1).scaleb(exact.adjusted() - 1)
    # 26 digits before the point and 12 after it are more than the default context's 28.
    digits = max(exact.adjusted(), 0) + 20 - min(exact.adjusted(), 0)
    return exact.quantize(step, rounding=ROUND_HALF_EVEN, context=_context(digits))


def _context(digits: int) -> Context:
    return Context(prec=max(28, digits))


def moment(value: dt.date | dt.datetime | object) -> str:
    """`2025-10-03`, or `2025-10-03 14:00` when there is a time of day."""
    if isinstance(value, dt.datetime):
        return f"{value:%Y-%m-%d}" if value.time() == dt.time() else f"{value:%Y-%m-%d %H:%M}"
    return str(value)


def phrase(*parts: str) -> str:
    """Parts of one mark's words, joined by a middle dot; empty ones fall away."""
    return " · ".join(part for part in parts if part)


def titled(label: str, unit: str) -> str:
    """An axis title with its unit: `Billed cost (USD)`."""
    return f"{label} ({unit})" if unit else label


def heading(column: str) -> str:
    """A column's name as a title: `business_unit` is `Business unit`, `ServiceName` is `Service name`."""
    spaced = "".join(f" {char.lower()}" if char.isupper() and at else char for at, char in enumerate(column))
    text = spaced.replace("_", " ").strip()
    return text[:1].upper() + text[1:]
