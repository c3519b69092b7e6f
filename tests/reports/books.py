"""Small notebooks that emit what the real ones do: prose, tables, charts, records."""

import json
from collections.abc import Sequence
from pathlib import Path

import nbformat

from workbench.settings import Settings

PARAMETERS = """\
profile: str = "demo"  # which profile
as_of: str = ""  # charges before that day
known_at: str = ""  # with the knowledge of that moment
run_dir: str = ""  # where outputs go
top: int = 3  # how many rows to show
"""

RECORD = """\
import json, pathlib
if run_dir:
    folder = pathlib.Path(run_dir, "tables", NAME); folder.mkdir(parents=True, exist_ok=True)
    (folder / "totals.csv").write_text("unit,cost\\nSearch,12.50\\n")
    record = {"schema": 1, "notebook": NAME, "profile": "demo", "as_of": as_of, "known_at": known_at,
              "figures": [{"key": "total", "label": "Billed cost", "value": "1234567.891234", "unit": "USD"},
                          {"key": "rows", "label": "Rows", "value": 4321, "unit": "rows"}],
              "look_at": [{"severity": "warn", "text": "Search rose by 40 %.", "link": ""}],
              "tables": [{"name": "totals", "rows": 1, "csv": f"tables/{NAME}/totals.csv"}]}
    pathlib.Path(run_dir, "records", f"{NAME}.json").write_text(json.dumps(record))
"""

HOSTILE = '<script>alert(1)</script> & "x"'

CHARTS = f"""\
import datetime as dt
from decimal import Decimal
import polars as pl
from workbench import plots
plots.enable()
units = ["Search", "Checkout", {HOSTILE!r}, "unallocated"]
days = [dt.date(2025, 9, 2) + dt.timedelta(n) for n in range(30)]
daily = pl.DataFrame(
    [{{"day": d, "business_unit": u, "cost": Decimal(f"{{(k + 2) * 40 + n}}.5")}}
     for n, d in enumerate(days) for k, u in enumerate(units)],
    schema={{"day": pl.Date, "business_unit": pl.String, "cost": pl.Decimal(38, 12)}})
"""

TABLE = """\
from IPython.display import HTML
from html import escape
names = ["Search", "Checkout", units[2], "unallocated"]
rows = "".join(f"<tr><td>{escape(n)}</td>" + "".join(f'<td class="num">{1234.5 * (k + 1) * (j + 1):,.2f}</td>'
               for j in range(6)) + "</tr>" for k, n in enumerate(names))
head = "<th>Unit</th>" + "".join(f'<th class="num">Week {j + 36}, USD</th>' for j in range(6))
HTML(f'<div class="wb-scroll"><table class="wb-table"><caption>Cost by unit and week</caption>'
     f'<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>')
"""


LONG = """\
rows = "".join(f'<tr><td>Service {n}</td><td class="num">{n}.00</td></tr>' for n in range(30))
head = '<thead><tr><th>Service</th><th class="num">Cost, USD</th></tr></thead>'
HTML(f'<div class="wb-scroll"><table class="wb-table">{head}<tbody>{rows}</tbody></table></div>')
"""

CHANGES = """\
last, mean = pl.col("cost").last(), pl.col("cost").mean()
change = daily.group_by("business_unit", maintain_order=True).agg((last - mean).alias("change"))
plots.changes(change, "business_unit")
"""


def write(
    folder: Path, name: str, cells: Sequence[tuple[str, str]], *, needs: Sequence[str] = (), title: str = "",
    parameters: str = PARAMETERS, about: str = "",
) -> Path:  # fmt: skip
    """A notebook of (kind, source) cells, kind `md` or `py`, with a parameters cell in front."""
    notebook = nbformat.v4.new_notebook()
    notebook.metadata["workbench"] = {"title": title or name, "needs": list(needs), "about": about}
    notebook.metadata["kernelspec"] = {"name": "nobody-has-this", "display_name": "x", "language": "python"}
    tagged = nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})
    made = {"md": nbformat.v4.new_markdown_cell, "py": nbformat.v4.new_code_cell}
    notebook.cells = [tagged, *(made[kind](source) for kind, source in cells)]
    for at, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{at}"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.ipynb"
    path.write_text(json.dumps(notebook), encoding="utf-8")
    return path


def rich(folder: Path, name: str = "02_costs", *, needs: Sequence[str] = ()) -> Path:
    """A notebook with a bit of everything."""
    return write(
        folder, name, title="Costs", needs=needs, about="What was spent, on what, and what changed in a week.",
        cells=[
            ("md", "# Costs\n\nWhat the cloud cost in September. **All amounts are billed cost**, before tax."),
            ("py", CHARTS),
            ("md", "## By day\n\nWeekends are quieter; the step on the 14th is the new index."),
            ("py", "plots.stacked_daily(daily, label='Billed cost')"),
            ("md", "The largest unit is unallocated: see [the FOCUS specification](https://focus.finops.org)."),
            ("md", "## By unit\n\n| unit | owner |\n|---|---|\n| Search | Ada |\n| Checkout | Grace |\n"),
            ("py", "plots.bars(daily, 'business_unit', label='Billed cost')"),
            ("py", TABLE),
            ("py", LONG),
            ("md", "### Changes\n\nWeek over week."),
            ("py", CHANGES),
            ("md", "## Coverage\n\nEvery unit has rows on every day."),
            ("py", "plots.coverage(daily.group_by('day', 'business_unit').agg(pl.len().alias('rows')))"),
            ("py", "plots.line_daily(daily, colour='business_unit')"),
            ("py", "print('plain words'); import sys; print('a warning', file=sys.stderr)"),
            ("py", f"NAME = {name!r}\n" + RECORD),
        ],
    )  # fmt: skip


def plain(folder: Path, name: str, *, needs: Sequence[str] = (), source: str = "print(as_of, known_at, top)") -> Path:
    """A notebook of one cell, and its record."""
    return write(
        folder, name, [("md", f"# {name}"), ("py", source), ("py", f"NAME = {name!r}\n" + RECORD)], needs=needs
    )


def settings_in(root: Path, **report: object) -> Settings:
    """Settings of a project at `root`."""
    return Settings.model_validate(
        {
            "name": "demo",
            "root": root,
            "sources": [{"kind": "demo", "name": "demo", "end": "2025-10-01"}],
            "report": {"workers": 2, **report},
        }
    )
