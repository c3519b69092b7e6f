"""The SQL files: which there are, in what order, and their statements."""

from importlib.resources import files
from typing import Any


def sql_files() -> dict[str, str]:
    """File name → text, in the order in which they run."""
    folder = files("workbench.warehouse") / "sql"
    found = sorted((item.name, item.read_text("utf-8")) for item in folder.iterdir() if item.name.endswith(".sql"))
    return dict(found)


def statements(text: str) -> list[str]:
    """The statements of a SQL text, without comments that stand alone and without the semicolons."""
    from io import StringIO

    from snowflake.connector.util_text import split_statements

    parts = (
        part.strip().removesuffix(";").strip() for part, _ in split_statements(StringIO(text), remove_comments=True)
    )
    return [part for part in parts if part]


def run_all(cursor: Any) -> list[str]:  # noqa: ANN401 (a cursor of the connector or of fakesnow)
    """Run every file's statements; returns the files' names. They may run again at any time."""
    names = []
    for name, text in sql_files().items():
        for statement in statements(text):
            cursor.execute(statement)
        names.append(name)
    return names
