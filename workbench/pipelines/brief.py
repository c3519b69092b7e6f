"""The run in a few sentences that a manager can read, from the records of its notebooks alone."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from workbench.pipelines.outputs import Note
from workbench.plots.words import amount

Figures = Mapping[str, Mapping[str, Any]]
"""The figures of one notebook by key: `label`, `value`, `unit`."""

_WHOLE_UNITS = 1_000


class Brief:
    """Sentences, one below the other, each value in bold."""

    def __init__(self, sentences: Sequence[Note]) -> None:
        self.sentences = list(sentences)

    def _repr_html_(self) -> str:
        return "".join(sentence._repr_html_() for sentence in self.sentences)

    def __repr__(self) -> str:
        return "\n".join(map(repr, self.sentences))


def brief(records: Sequence[Mapping[str, Any]]) -> Brief:
    """Say what was spent, what changed, what came of it, what is next and what came in badly.

    A page that left no record, because it failed or was not run, is named as missing; nothing is made up for it.
    """
    by_page = {record["notebook"]: {figure["key"]: figure for figure in record["figures"]} for record in records}
    found: list[Note] = []
    for page, sentences in _PAGES.items():
        if page in by_page:
            found += [note for sentence in sentences for note in sentence(by_page[page])]
        else:
            found.append(Note("The page {page} left no record: what it would say is missing here.", page=page))
    return Brief(found)


def _spent(figures: Figures) -> Iterator[Note]:
    if not _has(figures, "spend_week", "change_week"):
        return
    now, change = _number(figures, "spend_week"), _number(figures, "change_week")
    days = str(figures["spend_week"]["label"]).rpartition("last ")[2]
    ratio = f" ({float(change / (now - change)):+.1%})" if change and now > change else ""
    than = "{change} than" if change else "as much as"
    yield Note(f"{{spent}} were spent in the last {{days}}, {than} in the {{days}} before.",
               spent=_money(figures, now, "spend_week"), days=days,
               change=f"{_money(figures, abs(change), 'change_week')} {_direction(change)}{ratio}")  # fmt: skip


def _changed(figures: Figures) -> Iterator[Note]:
    if _has(figures, "largest_change", "largest_change_amount"):
        change = _number(figures, "largest_change_amount")
        yield Note("What changed most: {what}, {change}.", what=figures["largest_change"]["value"],
                   change=f"{_money(figures, abs(change), 'largest_change_amount')} {_direction(change)}")  # fmt: skip


def _returned(figures: Figures) -> Iterator[Note]:
    if _has(figures, "roi", "revenue", "roi_cost"):
        days = str(figures["revenue"]["label"]).partition(", ")[2].partition(" with")[0]
        revenue, cost = (_money(figures, _number(figures, key), key) for key in ("revenue", "roi_cost"))
        yield Note("{revenue} came in over {days}, against {cost} that were spent: a return of {roi}.",
                   revenue=revenue, days=days, cost=cost, roi=f"{float(figures['roi']['value']):,.0%}")  # fmt: skip
    elif _has(figures, "revenue"):
        yield Note("There is revenue, but no cost to hold it against.")
    else:
        yield Note("No revenue is known: no business events have come in.")


def _ahead(figures: Figures) -> Iterator[Note]:
    if _has(figures, "month", "month_lower", "month_upper"):
        name = str(figures["month"]["label"]).partition(",")[0]
        middle, lower, upper = (_money(figures, _number(figures, key), "month") for key in _MONTH)
        held = f"{float(figures['coverage']['value']):.0%}" if _has(figures, "coverage") else ""
        how = "; bands like it held {held} of the days that were tested" if held else ""
        yield Note(f"{{name}} will likely cost {{middle}}, between {{lower}} and {{upper}} (95 % band{how}).",
                   name=name, middle=middle, lower=lower, upper=upper, held=held)  # fmt: skip


_MONTH = ("month", "month_lower", "month_upper")


def _came_in(figures: Figures) -> Iterator[Note]:
    refused, missing = (int(_number(figures, key)) if _has(figures, key) else 0 for key in ("rejected", "missing_days"))
    difference = _number(figures, "difference") if _has(figures, "difference") else Decimal(0)
    bad = [f"{refused:,} rows were refused"] * (refused > 0) + [f"{missing:,} days have no line at all"] * (missing > 0)
    bad += [f"the books are off by {amount(difference)}"] * (difference != 0)
    if bad:
        yield Note("Not all came in well: {bad}.", bad="; ".join(bad))
    else:
        yield Note(
            "All that was read came in: nothing refused, no day without a line, and the books close to the last digit."
        )


_PAGES: dict[str, tuple[Callable[[Figures], Iterator[Note]], ...]] = {
    "02_costs": (_spent, _changed, _returned),
    "06_forecast": (_ahead,),
    "01_ingest": (_came_in,),
}


def _has(figures: Figures, *keys: str) -> bool:
    return all(key in figures and figures[key]["value"] is not None for key in keys)


def _number(figures: Figures, key: str) -> Decimal:
    return Decimal(str(figures[key]["value"]))


def _money(figures: Figures, value: Decimal, key: str) -> str:
    """`49,048 USD`; cents only where they matter."""
    places = 0 if abs(value) >= _WHOLE_UNITS else 2
    return f"{amount(value, places)} {figures[key]['unit']}".strip()


def _direction(change: Decimal) -> str:
    return "more" if change > 0 else "less"
