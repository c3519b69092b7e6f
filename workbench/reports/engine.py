"""papermill's engine for reports: whatever stops a notebook is written on the cell that it stopped.

papermill's own engine lets a dead kernel and a timeout escape, and then marks every cell as completed, also those
that never ran. This one turns both into an error output, leaves the rest pending, gives the whole notebook one
deadline, always uses this very Python, and says what it is doing.
"""

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import nbformat
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine, papermill_engines

NAME = "workbench"

Tell = Callable[[dict[str, Any]], None]


class _ThisPython(KernelSpecManager):
    """One kernel, whatever name a notebook asks for: the interpreter that runs the report."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """The specification that starts ipykernel in this interpreter."""
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=argv, display_name=kernel_name, language="python")


class _Kernels(AsyncKernelManager):
    """Kernels of this interpreter."""

    def __init__(self, **traits: Any) -> None:  # noqa: ANN401 (traitlets' signature)
        super().__init__(kernel_spec_manager=_ThisPython(), **traits)


class _Client(PapermillNotebookClient):  # type: ignore[misc]
    """Runs the cells up to the first that fails."""

    def __init__(self, manager: Any, tell: Tell, limit_s: float, **traits: Any) -> None:  # noqa: ANN401
        self._tell, self._limit_s = tell, limit_s
        self._deadline = time.monotonic() + limit_s
        super().__init__(manager, timeout_func=self._left, kernel_manager_class=_Kernels, **traits)

    def _left(self, _: object) -> int:
        # nbclient counts whole seconds and takes 0 for "no limit".
        return max(1, round(self._deadline - time.monotonic()))

    def papermill_execute_cells(self) -> None:
        """Execute cell after cell; a failure of any kind ends it, recorded on its cell."""
        self._tell({"event": "kernel", "pid": self.km.provisioner.pid})
        for index, cell in enumerate(self.nb.cells):
            self._tell({"event": "cell", "index": index, "of": len(self.nb.cells)})
            if not self._run(cell, index):
                break

    def _run(self, cell: Any, index: int) -> bool:  # noqa: ANN401 (a notebook node)
        self.nb_man.cell_start(cell, index)
        try:
            self.execute_cell(cell, index)
        except CellExecutionError as error:
            self.nb_man.cell_exception(cell, cell_index=index, exception=error)
            return False
        except CellTimeoutError as error:
            self.shutdown_kernel = "immediate"  # a cell that hangs won't hear a polite request
            limit = f"{self._limit_s:g} seconds, the limit for a notebook (report.timeout_s in the profile)"
            self._stopped(cell, index, "Timeout", f"this cell was still running after {limit}", error)
            return False
        except DeadKernelError as error:
            self._stopped(cell, index, "KernelDied", f"the notebook's process ended here: {self._cause()}", error)
            return False
        finally:
            self.nb_man.cell_complete(cell, cell_index=index)
        return True

    def _stopped(self, cell: Any, index: int, name: str, text: str, error: Exception) -> None:  # noqa: ANN401
        output = nbformat.v4.new_output("error", ename=name, evalue=text, traceback=[f"{name}: {text}"])
        cell.outputs.append(output)
        self.nb_man.cell_exception(cell, cell_index=index, exception=error)

    def _cause(self) -> str:
        code = getattr(getattr(self.km.provisioner, "process", None), "returncode", None)
        if code == -9:
            return "it was killed (signal 9), by hand or by the system for want of memory"
        return f"by signal {-code}" if code is not None and code < 0 else f"with exit code {code}"

    def execute(self, **kwargs: Any) -> Any:  # noqa: ANN401 (papermill's signature)
        """As papermill does, without asking a kernel that may be gone for its language."""
        self.reset_execution_trackers()
        with self.setup_kernel(**kwargs):
            self.papermill_execute_cells()
            with suppress(DeadKernelError, RuntimeError):
                self.set_widgets_metadata()
        return self.nb


class ReportEngine(Engine):  # type: ignore[misc]
    """The engine by the name of `workbench`."""

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: Any,  # noqa: ANN401 (papermill has no types)
        kernel_name: str,
        *,
        tell: Tell,
        limit_s: float,
        folder: str,
        start_timeout: int = 60,
        **_: object,
    ) -> Any:  # noqa: ANN401
        """Run the notebook of papermill's manager in `folder`, for at most `limit_s` seconds."""
        client = _Client(
            nb_man, tell, limit_s, kernel_name=kernel_name, startup_timeout=start_timeout,
            resources={"metadata": {"path": folder}},
        )  # fmt: skip
        return client.execute()


papermill_engines.register(NAME, ReportEngine)
