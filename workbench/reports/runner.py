"""Runs a report: notebooks in the order of their needs, the independent ones side by side, each in its own process."""

import datetime as dt
import queue
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

from workbench.errors import ReportError, UsageError
from workbench.reports import notebooks as books
from workbench.reports.crew import Crew, crew
from workbench.reports.folder import ReportFolder
from workbench.reports.jobs import Job
from workbench.reports.keep import keep_others
from workbench.reports.notebooks import Notebook
from workbench.reports.parameters import Value
from workbench.reports.progress import Progress, shown
from workbench.reports.run import Run
from workbench.settings import Settings


def run(
    settings: Settings, as_of: dt.date, known_at: dt.datetime | None = None, *,
    names: Sequence[str] | None = None, parameters: Mapping[str, object] | None = None,
    notebooks_dir: Path | None = None, progress: bool = True, ready: Crew | None = None,
) -> Run:  # fmt: skip
    """Run notebooks and put their report at `settings.reports/<profile>/<as_of>/`.

    Parameters
    ----------
    as_of
        Charges before that day, 00:00 UTC.
    known_at
        With the knowledge of that moment, which must carry its zone; None leaves it to the notebooks.
    names
        Only these notebooks (`02_costs`, `02` or `costs`); pages of others are kept from the report that is there.
        None: those of the profile, or all.
    parameters
        Values for the notebooks' own parameters, by `name` or `NOTEBOOK.name`.
    notebooks_dir
        Where the notebooks are; by default `notebooks/` under the project's root.
    ready
        Processes that were made ready earlier, by `crew(folder_of(settings))`.

    Returns
    -------
    Run
        With a status for each notebook; a notebook that fails raises nothing, it makes `exit_code` 1.

    Raises
    ------
    UsageError
        For a name or a parameter that does not exist, or a value of the wrong type: before anything runs.
    ReportError
        When the folder can't be written or another run writes it, or the notebooks need each other in a circle.
    """
    if known_at is not None and known_at.tzinfo is None:
        raise UsageError(f"known_at {known_at.isoformat()} has no time zone; write {known_at.isoformat()}Z for UTC")
    found = books.find(folder_of(settings, notebooks_dir))
    chosen = books.select(found, names or settings.report.notebooks)
    own = books.assigned(chosen, parameters or {})
    report = Run.begin(settings, as_of, known_at, chosen.values(), dict(parameters or {}))
    with (
        ReportFolder(settings.reports, settings.name, as_of.isoformat()) as folder,
        _disk_errors_told(folder.place),
        nullcontext(ready) if ready else crew(folder_of(settings, notebooks_dir)) as hands,
    ):
        if names:
            keep_others(report, folder.place, folder.work)
        with shown(list(chosen), wanted=progress) as bars:
            _Loop(report, chosen, own, settings, work=folder.work, hands=hands, bars=bars).run()
        _publish(report, folder)
    return report


def folder_of(settings: Settings, notebooks_dir: Path | None = None) -> Path:
    """Where a project's notebooks are, and where their kernels work."""
    return (notebooks_dir or settings.root / "notebooks").resolve()


class _Loop:
    """The notebooks that wait, run and are over."""

    def __init__(
        self, report: Run, chosen: Mapping[str, Notebook], own: Mapping[str, Mapping[str, Value]], settings: Settings,
        *, work: Path, hands: Crew, bars: Progress,
    ) -> None:  # fmt: skip
        self.report, self.waiting, self.own, self.settings = report, dict(chosen), own, settings
        self.work, self.hands, self.bars = work, hands, bars
        self.workers = settings.report.workers
        self.running: dict[str, Job] = {}

    def run(self) -> None:
        """Until nothing waits or runs."""
        threading.Thread(target=_warm, daemon=True).start()
        while self.waiting or self.running:
            self._start_ready()
            if self.running:
                self._hear()

    def _start_ready(self) -> None:
        for name, notebook in list(self.waiting.items()):
            if failed := self._failed_needs(notebook):
                del self.waiting[name]
                verb = "was" if len(failed) == 1 else "were"
                self._over(name, "skipped", 0.0, note=f"it needs {' and '.join(failed)}, which {verb} not completed")
            elif len(self.running) < self.workers and not self._unmet(notebook, {*self.waiting, *self.running}):
                job = self.hands.take()
                del self.waiting[name]
                job.name = name
                self.running[name] = job
                self.bars.start(name, notebook.cells)
                if job.dead:
                    self._end(job, job.dead)
                else:
                    job.begin(name, self._order(notebook))
        # Those that wait for nothing but what runs now will be next.
        soon = [book for book in self.waiting.values() if not self._unmet(book, self.waiting)]
        self.hands.prepare(min(len(soon), self.workers))

    def _failed_needs(self, notebook: Notebook) -> list[str]:
        entries = self.report.by_name
        return [need for need in notebook.needs if need in entries and entries[need].status in ("failed", "skipped")]

    def _unmet(self, notebook: Notebook, unfinished: Collection[str]) -> bool:
        """Whether a notebook waits for one of the `unfinished`."""
        others = set(unfinished) - {notebook.name}
        if notebook.last:
            last = {name for name in others if "*" in self.report.by_name[name].needs}
            return bool((others - last) or (others & set(notebook.needs)))
        return bool(others & set(notebook.needs))

    def _order(self, notebook: Notebook) -> dict[str, object]:
        told = {
            "profile": str(self.settings.file or self.settings.name),
            "as_of": self.report.as_of.isoformat(),
            "known_at": self.report.known_at.isoformat() if self.report.known_at else "",
            "run_dir": str(self.work),
        }
        declared = {parameter.name for parameter in notebook.parameters}
        return {
            "input": str(notebook.path),
            "output": str(self.work / "notebooks" / f"{notebook.name}.ipynb"),
            "parameters": {key: value for key, value in told.items() if key in declared}
            | dict(self.own[notebook.name]),
            "limit_s": self.settings.report.timeout_s,
        }

    def _hear(self) -> None:
        try:
            job, event = self.hands.events.get(timeout=1.0)
        except queue.Empty:
            return
        if self.running.get(job.name) is not job:
            job.dead = event.get("error")
            return
        if event["event"] == "cell":
            self.report.by_name[job.name].cells_done = event["index"]
            self.bars.cell(job.name, event["index"])
        elif event["event"] == "end":
            self._end(job, event["error"])

    def _end(self, job: Job, error: dict[str, object] | None) -> None:
        del self.running[job.name]
        job.end()
        self._over(job.name, "failed" if error else "done", job.seconds, error=error)

    def _over(
        self, name: str, status: str, seconds: float, *, note: str = "", error: dict[str, object] | None = None
    ) -> None:
        entry = self.report.by_name[name]
        entry.status, entry.seconds, entry.reason, entry.error = status, round(seconds, 2), note, error
        if status == "done":
            entry.cells_done = entry.cells
        # Written after each notebook, so that the summary, which runs last, can say what failed.
        self.report.write(self.work / "records" / "run.json")
        self.bars.end(name, status, seconds, note or str((error or {}).get("message", "")))


def _warm() -> None:
    """Import what publishing needs while the notebooks run."""
    from workbench.reports import cells

    cells.markdown("")


def _publish(report: Run, folder: ReportFolder) -> None:
    from workbench.reports import index, publish

    report.finish()
    publish.settle(folder.work, folder.place)
    publish.pages(report, folder.work)
    index.write_report(report, folder.work)
    report.write(folder.work / "records" / "run.json")
    folder.commit()
    index.write_runs(folder.place.parent)
    report.folder = folder.place


@contextmanager
def _disk_errors_told(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ReportError(
            f"the report can't be written to {place} ({error.strerror or error}): check the disk's space "
            f"(workbench doctor) and run it again; the report that was there before is untouched"
        ) from error
