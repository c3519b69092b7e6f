"""What a notebook leaves behind: tables to look at and to download, and a record of its figures.

In a run (`run_dir` given) each table is also written as CSV and as a sheet of an XLSX workbook, and the record as JSON
with a schema of its own. In JupyterLab tables are only shown.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import Decimal
from html import escape
from pathlib import Path
from typing import Any, Literal

import polars as pl

from workbench.errors import UsageError
from workbench.plots.words import amount

RECORD_SCHEMA = 1
SHARE = "share"
"""Unit of a figure, and name of a column, that is a part of a whole (0 to 1): it is shown in percent."""
_MOST_ROWS_SHOWN = 25
_IN_PERCENT = (SHARE, "ratio", "roi", "coverage")
_HUGE = 100.0


@dataclass(frozen=True)
class Figure:
    """One number of a report. Decimals stay exact: they travel as text."""

    key: str
    label: str
    value: Decimal | float | int | str | None
    unit: str = ""


@dataclass(frozen=True)
class LookAt:
    """One thing that a reader should look at."""

    severity: Literal["info", "warn", "high"]
    text: str
    link: str = ""


class Table:
    """A frame as a table in a page: numbers right aligned, text escaped, exact amounts on hover.

    Columns called `share`, `ratio`, `roi` or `coverage` are shown in percent.

    Parameters
    ----------
    frame
        What to show; at most 25 rows of it are (the CSV has all).
    title
        A caption.
    labels
        Column → heading; without one the column's own name.
    exact
        Show amounts with all their digits instead of a reader's two to six.
    """

    def __init__(
        self, frame: pl.DataFrame, title: str = "", labels: dict[str, str] | None = None, *, exact: bool = False
    ) -> None:
        self.frame = frame
        self.title = title
        self.labels = labels or {}
        self.exact = exact

    def _repr_html_(self) -> str:
        shown = self.frame.head(_MOST_ROWS_SHOWN)
        head = "".join(f"<th{_align(dtype)}>{escape(self.labels.get(name) or _heading(name))}</th>"
                       for name, dtype in shown.schema.items())  # fmt: skip
        places = {name: None if self.exact else _places(shown[name]) for name in shown.columns}
        body = "".join(
            "<tr>"
            + "".join(
                _cell(row[name], dtype, places[name], percent=name in _IN_PERCENT)
                for name, dtype in shown.schema.items()
            )
            + "</tr>"
            for row in shown.iter_rows(named=True)
        )
        caption = f"<caption>{escape(self.title)}</caption>" if self.title else ""
        more = self.frame.height - shown.height
        foot = f'<p class="wb-more">{more:,} more rows are in the CSV.</p>' if more > 0 else ""
        empty = '<p class="wb-more">Nothing to show.</p>' if self.frame.height == 0 else ""
        table = f'<table class="wb-table">{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
        return f'<div class="wb-scroll">{table}</div>{foot}{empty}'

    def __repr__(self) -> str:
        return f"{self.title}\n{self.frame}"


class Note:
    """A sentence of a report with values from the data: each value is escaped."""

    def __init__(self, sentence: str, **values: object) -> None:
        self._html = sentence.format(**{name: f"<b>{escape(str(value))}</b>" for name, value in values.items()})

    def _repr_html_(self) -> str:
        return f'<p class="wb-note">{self._html}</p>'

    def __repr__(self) -> str:
        return re.sub(r"<[^>]+>", "", self._html)


class Outputs:
    """The outputs of one notebook of one run.

    Parameters
    ----------
    notebook
        Name of the notebook, `02_costs`.
    run_dir
        Folder of the run, or None where nothing is to be written.
    context
        What stands at the head of the record: profile, as-of date, known-at.
    """

    def __init__(self, notebook: str, run_dir: Path | None, context: dict[str, str]) -> None:
        self.notebook = notebook
        self.run_dir = run_dir
        self._context = context
        self._tables: dict[str, pl.DataFrame] = {}

    def table(self, name: str, shown: Table) -> Table:
        """Write a table's CSV (in a run) and return it to be shown."""
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,30}", name):
            raise UsageError(f"a table is called by up to 31 small letters, digits and _, not '{name}'")
        self._tables[name] = shown.frame
        if self.run_dir:
            folder = self.run_dir / "tables" / self.notebook
            folder.mkdir(parents=True, exist_ok=True)
            harmless(shown.frame).write_csv(folder / f"{name}.csv", datetime_format="%Y-%m-%dT%H:%M:%SZ")
        return shown

    def record(self, figures: Sequence[Figure], look_at: Sequence[LookAt]) -> dict[str, Any]:
        """Write the record and the workbook (in a run) and return the record."""
        record = {
            "schema": RECORD_SCHEMA, "notebook": self.notebook, **self._context,
            "figures": [{**asdict(figure), "value": _plain(figure.value)} for figure in figures],
            "look_at": [asdict(item) for item in look_at],
            "tables": [{"name": name, "rows": frame.height, "csv": f"tables/{self.notebook}/{name}.csv"}
                       for name, frame in self._tables.items()],
        }  # fmt: skip
        if self.run_dir:
            self._workbook(self.run_dir / "tables" / f"{self.notebook}.xlsx")
            folder = self.run_dir / "records"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{self.notebook}.json").write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
        return record

    def _workbook(self, path: Path) -> None:
        import xlsxwriter

        if not self._tables:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        options = {"strings_to_formulas": False, "strings_to_urls": False, "nan_inf_to_errors": True}
        with xlsxwriter.Workbook(path, options) as book:
            # The as-of day, so that the same report is the same file.
            book.set_properties({"created": datetime.fromisoformat(self._context["as_of"])})
            for name, frame in self._tables.items():
                plain = frame.with_columns(pl.col(pl.Datetime).dt.replace_time_zone(None))
                plain.write_excel(book, name, autofit=True, dtype_formats={pl.Decimal: "#,##0.00####"})


def read_records(run_dir: Path) -> list[dict[str, Any]]:
    """Return the records of a run's notebooks, in the order of their names."""
    files = sorted((run_dir / "records").glob("[0-9]*.json"))
    return [json.loads(file.read_text()) for file in files]


def read_table(run_dir: Path, notebook: str, name: str) -> pl.DataFrame:
    """Return a table that a notebook of a run wrote, dates read and amounts as numbers; empty where there is none."""
    file = run_dir / "tables" / notebook / f"{name}.csv"
    return pl.read_csv(file, try_parse_dates=True) if file.is_file() else pl.DataFrame()


def harmless(frame: pl.DataFrame) -> pl.DataFrame:
    """Put an apostrophe before texts that a spreadsheet would take for a formula."""
    text = pl.col(pl.String)
    starts = text.str.contains(r"^[=+\-@\t\r]")
    return frame.with_columns(pl.when(starts).then(pl.lit("'") + text).otherwise(text).name.keep())


def figures_of(records: Sequence[dict[str, Any]]) -> pl.DataFrame:
    """Return the figures of several records as a frame: `label`, `value` (as a reader writes it), `unit`, `page`."""
    rows = [
        (figure["label"], _written(figure["value"], figure["unit"]), _shown_unit(figure["unit"]), record["notebook"])
        for record in records
        for figure in record["figures"]
    ]
    return pl.DataFrame(rows, schema=dict.fromkeys(("label", "value", "unit", "page"), pl.String), orient="row")


def findings_of(records: Sequence[dict[str, Any]]) -> pl.DataFrame:
    """Return what to look at, the most serious first: `severity`, `text`, `page`."""
    order = {"high": 0, "warn": 1, "info": 2}
    found = [(item["severity"], item["text"], record["notebook"]) for record in records for item in record["look_at"]]
    found.sort(key=lambda item: order[item[0]])
    return pl.DataFrame(found, schema=dict.fromkeys(("severity", "text", "page"), pl.String), orient="row")


def _written(value: float | str | None, unit: str) -> str:
    """`102249.79421869` USD → `102,249.79`; 0.0279 of a whole → `2.8 %`."""
    if value is None:
        return ""
    if unit == SHARE:
        return f"{float(value):.1%}"
    number = Decimal(str(value)) if re.fullmatch(r"-?\d+(\.\d+)?", str(value)) else None
    if number is None:
        return str(value)
    return f"{number:,}" if number == number.to_integral_value() else amount(number)


def _shown_unit(unit: str) -> str:
    """A share says its unit itself: 2.8 %."""
    return "" if unit == SHARE else unit


def _heading(name: str) -> str:
    """`known_already` → `Known already`; FOCUS columns keep their names."""
    return name.replace("_", " ").capitalize() if name.islower() else name


def _plain(value: Decimal | float | str | None) -> float | int | str | None:
    return f"{value.normalize():f}" if isinstance(value, Decimal) else value


def _align(dtype: pl.DataType) -> str:
    return ' class="num"' if dtype.is_numeric() else ""


def _places(column: pl.Series) -> int | None:
    """How many decimals a reader needs: two for large amounts, up to six for small ones."""
    if not (isinstance(column.dtype, pl.Decimal) or column.dtype.is_float()):
        return None
    largest = column.cast(pl.Float64).abs().max()
    return 2 if not isinstance(largest, float) or largest >= 10 or largest == 0 else 4 if largest >= 0.1 else 6


def _cell(value: object, dtype: pl.DataType, places: int | None, *, percent: bool) -> str:
    if percent and isinstance(value, float):
        text = f"{value:,.1%}" if abs(value) < _HUGE else f"{'-' if value < 0 else ''}over {_HUGE:,.0%}"
        return f'<td class="num" title="{value:,.4%}">{text}</td>'
    if value is None:
        return f'<td{_align(dtype)}><span class="wb-none">&ndash;</span></td>'
    if isinstance(value, Decimal):
        exact = f"{value.normalize():,f}"
        text = exact if places is None else f"{value:,.{places}f}"
        return f'<td class="num" title="{exact}">{text}</td>'
    if isinstance(value, bool | str | date | datetime):
        text = value.strftime("%Y-%m-%d %H:%M") if isinstance(value, datetime) else str(value)
        return f"<td>{escape(text)}</td>"
    if isinstance(value, float):
        return f'<td class="num">{value:,.{2 if places is None else places}f}</td>'
    return f'<td class="num">{value:,}</td>' if isinstance(value, int) else f"<td>{escape(str(value))}</td>"
