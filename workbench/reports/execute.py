"""One notebook in one process: `python -m workbench.reports.execute FOLDER`, started by the runner.

The process makes itself ready (libraries, a kernel working in FOLDER) before it knows its notebook, while others run.
The order then comes as one line of JSON on standard input, which stays open: when it closes, the runner is gone or
needs no more, and this process takes its kernel with it. What happens goes to standard output, one JSON object a line;
everything that anything else prints goes to standard error.
"""

import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from workbench.imports import IRI_GRAMMAR, without
from workbench.reports.failure import Failure, failure

_kernel: list[int] = []


def main() -> None:
    """Get ready, read the order, run the notebook, tell how it went."""
    events = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    signal.signal(signal.SIGTERM, _end)

    def tell(event: dict[str, Any]) -> None:
        events.write(json.dumps(event) + "\n")

    with without(IRI_GRAMMAR, "boto3", "pyarrow"):  # papermill would import its roads to S3 and Hadoop
        from workbench.reports import engine
    kernel = engine.start_kernel(sys.argv[1])
    _kernel[:] = [engine.process_of(kernel)]
    tell({"event": "kernel", "pid": _kernel[0]})
    order = sys.stdin.readline()
    if order:
        threading.Thread(target=_watch, daemon=True).start()
        found = execute(json.loads(order), tell, kernel)
        tell({"event": "end", "error": found.as_dict() if found else None})
    _end()


def execute(order: dict[str, Any], tell: Callable[[dict[str, Any]], None], kernel: object) -> Failure | None:
    """Run `order["input"]` to `order["output"]`; what stopped it, or None when it ran to its end."""
    import papermill
    from papermill.exceptions import PapermillExecutionError

    from workbench.reports import engine

    logging.getLogger("papermill").setLevel(logging.ERROR)
    try:
        papermill.execute_notebook(
            _literal(order["input"]), _literal(order["output"]), order["parameters"],
            engine_name=engine.NAME, kernel_name="python3", language="python", progress_bar=False,
            request_save_on_cell_execute=False, tell=tell, limit_s=order["limit_s"], kernel=kernel,
        )  # fmt: skip
    except PapermillExecutionError as error:
        return failure(error.ename, error.evalue, error.traceback, error.source, error.exec_count)
    except Exception as error:  # noqa: BLE001 (whatever it is, the run goes on without this notebook)
        return failure(type(error).__name__, str(error), [], "", None)
    return None


def _literal(path: str) -> str:
    """Double braces: papermill formats paths with the parameters."""
    return path.replace("{", "{{").replace("}", "}}")


def _watch() -> None:
    sys.stdin.read()
    _end()


def _end(*_: object) -> None:
    for pid in _kernel:
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
    os._exit(0)


if __name__ == "__main__":
    main()
