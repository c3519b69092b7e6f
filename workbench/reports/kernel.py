"""The kernel of a report's notebook: IPython's, with what every notebook imports already there.

It is started while other notebooks run, so that importing, and the chart engine's first drawing, cost no one time.
Nothing is put into the notebook's names: it imports what it uses, and finds it loaded.
"""

import importlib
from contextlib import suppress

_WANTED = ("polars", "workbench.pipelines", "workbench.plots", "vl_convert")


def main() -> None:
    """Warm up, then serve."""
    for name in _WANTED:
        with suppress(ImportError):  # the notebook that needs it says so itself
            importlib.import_module(name)
    with suppress(Exception):
        _draw()
    from ipykernel import kernelapp

    kernelapp.launch_new_instance()


def _draw() -> None:
    from workbench import plots
    from workbench.imports import without_iri_grammar

    with without_iri_grammar():
        importlib.import_module("altair")
    plots.svg(
        {"mark": "point", "data": {"values": [{"x": 1}]}, "encoding": {"x": {"field": "x", "type": "quantitative"}}}
    )


if __name__ == "__main__":
    main()
