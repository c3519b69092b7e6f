"""The kernel of a report's notebook: IPython's, with what every notebook imports already there.

It is started while other notebooks run, so that importing, and the chart engine's first drawing, cost no one time.
Nothing is put into the notebook's names: it imports what it uses, and finds it loaded.
"""

import importlib
import threading
from contextlib import suppress

from workbench.imports import IRI_GRAMMAR, without

_WANTED = ("polars", "workbench.pipelines", "workbench.plots", "vl_convert", "snowflake.connector")


def main() -> None:
    """Warm up, then serve."""
    for name in _WANTED:
        with suppress(ImportError):  # the notebook that needs it says so itself
            importlib.import_module(name)
    with suppress(ImportError), without(IRI_GRAMMAR):
        importlib.import_module("altair")
    threading.Thread(target=_draw, daemon=True).start()
    from ipykernel import kernelapp

    kernelapp.launch_new_instance()


def _draw() -> None:
    from workbench import plots

    nothing = {"mark": "point", "data": {"values": [{"x": 1}]}, "encoding": {"x": {"field": "x", "type": "nominal"}}}
    with suppress(Exception):
        plots.svg(nothing)


if __name__ == "__main__":
    main()
