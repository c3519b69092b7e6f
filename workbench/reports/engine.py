"""papermill's engine for reports: whatever stops a notebook is written on the cell that it stopped.

papermill's own engine lets a dead kernel and a timeout escape, and then marks every cell as completed, also those
that never ran. This one turns both into an error output, leaves the rest pending, gives the whole notebook one
deadline, always uses this very Python, and says what it is doing.
"""

import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.paths import jupyter_runtime_dir
from jupyter_core.utils import run_sync
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine, papermill_engines

NAME = "workbench"
_START_S = 60
_LONGEST_SOCKET_PATH = 90
"""The system allows 103 to 107 characters; Jupyter adds a number."""

Tell = Callable[[dict[str, Any]], None]


class _ThisPython(KernelSpecManager):
    """One kernel, whatever name a notebook asks for: the interpreter that runs the report."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """The specification that starts our kernel in this interpreter."""
        argv = [sys.executable, "-m", "workbench.reports.kernel", "-f", "{connection_file}"]
        return KernelSpec(argv=argv, display_name=kernel_name, language="python")


def start_kernel(folder: str) -> AsyncKernelManager:
    """Start a kernel of this interpreter that works in `folder`; it comes up while the caller does something else."""
    manager = AsyncKernelManager(kernel_spec_manager=_ThisPython())
    socket = Path(jupyter_runtime_dir()) / str(os.getpid())
    if len(str(socket)) < _LONGEST_SOCKET_PATH:
        # Sockets in our own folder: no ports that two kernels starting at once could both choose.
        socket.parent.mkdir(parents=True, exist_ok=True)
        manager.transport, manager.ip = "ipc", str(socket)
    run_sync(manager.start_kernel)(cwd=folder)
    return manager


def process_of(kernel: AsyncKernelManager) -> int:
    """The kernel's process, which leads a group of its own."""
    return int(getattr(kernel.provisioner, "pid", 0))


class _Client(PapermillNotebookClient):  # type: ignore[misc]
    """Runs the cells up to the first that fails."""

    def __init__(self, notebook: Any, kernel: AsyncKernelManager, tell: Tell, limit_s: float) -> None:  # noqa: ANN401
        self._tell, self._limit_s = tell, limit_s
        self._deadline = time.monotonic() + limit_s
        super().__init__(notebook, km=kernel, timeout_func=self._left, startup_timeout=_START_S)

    def _left(self, _: object) -> int:
        # nbclient counts whole seconds and takes 0 for "no limit".
        return max(1, round(self._deadline - time.monotonic()))

    def papermill_execute_cells(self) -> None:
        """Execute cell after cell; a failure of any kind ends it, recorded on its cell."""
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
        with self.setup_kernel(cleanup_kc=False, **kwargs):
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
        kernel: AsyncKernelManager,
        tell: Tell,
        limit_s: float,
        **_: object,
    ) -> Any:  # noqa: ANN401
        """Run the notebook of papermill's manager in `kernel`, for at most `limit_s` seconds."""
        del kernel_name
        return _Client(nb_man, kernel, tell, limit_s).execute()


papermill_engines.register(NAME, ReportEngine)
