"""`workbench produce`: sources outside → events, a round at a time, each going on where the last one stopped."""

import dataclasses
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import SourceError, UsageError, did_you_mean
from workbench.pipelines.rounds import Stop
from workbench.pipelines.sinks import WarehouseCursors, known_costs
from workbench.pipelines.statements import load_statement
from workbench.settings import AwsSource, Settings
from workbench.sources.aws.calls import Aws
from workbench.sources.aws.costs import Costs
from workbench.sources.aws.exports import Exports, Manifest
from workbench.sources.aws.usage import Usage
from workbench.sources.business import GrowingFile, LinesRead, send_stream
from workbench.sources.focus.lines import Reading
from workbench.sources.handed import Sink

if TYPE_CHECKING:
    from workbench.pipelines.road import Road
    from workbench.warehouse import Warehouse

AWS_KINDS = ("aws-costs", "aws-usage", "aws-export")
BUSINESS = "business"


@dataclass(frozen=True)
class Producer:
    """What a producer needs of the house: where events go, and what tells it to stop."""

    settings: Settings
    warehouse: "Warehouse"
    sink: Sink
    road: "Road"
    stop: Stop

    def round(self, kind: str, source: str = "", since: datetime | None = None) -> dict[str, Any]:
        """One round of `aws-costs`, `aws-usage` or `aws-export`; returns its account as plain data.

        `failed` tells whether something was refused, or could not be had.

        Raises
        ------
        UsageError
            An unknown kind or source, or one that would count money twice.
        SourceError, BrokerError, WarehouseError
            Something stands in the way; what was delivered before counts, and the rest is read again.
        """
        started, chosen = time.monotonic(), source_of(self.settings, source)
        works = {"aws-costs": self._costs, "aws-usage": self._usage, "aws-export": self._export}
        if kind not in works:
            raise UsageError(f"nothing produces '{kind}'; there are {', '.join(AWS_KINDS)}, {BUSINESS}"
                             f"{did_you_mean(kind, AWS_KINDS)}")  # fmt: skip
        account = works[kind](chosen, since)
        return {"produced": kind, "source": chosen.name, **account, "seconds": round(time.monotonic() - started, 3)}

    def file(self, path: Path, *, last: bool) -> dict[str, Any]:
        """Send what a file of business events has more than last time; `last`: its last line counts without an end."""
        cursors = WarehouseCursors(self.warehouse, BUSINESS)
        read = GrowingFile(path, self.sink, cursors, _now, lambda: self.stop.asked).round(last=last)
        return business_account(str(path), read)

    def stream(self) -> dict[str, Any]:
        """Send what comes by standard input until it ends; asked to stop, what has come by then."""
        read = send_stream(sys.stdin.buffer, self.sink, _now, lambda: self.stop.asked)
        return business_account("standard input", read)

    def _aws(self, source: AwsSource) -> Aws:
        return Aws(source, self.stop.wait_or_raise)

    def _costs(self, source: AwsSource, since: datetime | None) -> dict[str, Any]:
        if source.export is not None:
            raise UsageError(
                f"source '{source.name}' has an export, which holds the same money line by line: Cost Explorer's sums "
                "beside it would count it twice. Use `workbench produce aws-export`, or take `export` out of the source"
            )
        known = partial(known_costs, self.warehouse)
        read = Costs(self._aws(source), self.settings.names, self.sink, self._cursors(source), known, _now).round(since)
        return {**_plain(read), "failed": read.rejected > 0}

    def _usage(self, source: AwsSource, since: datetime | None) -> dict[str, Any]:
        read = Usage(self._aws(source), self.settings.names, self.sink, self._cursors(source), _now).round(since)
        return {**_plain(read), "failed": bool(read.failed or read.rejected), "unanswered": read.failed}

    def _export(self, source: AwsSource, since: datetime | None) -> dict[str, Any]:
        if since is not None:
            raise UsageError("--since is not for aws-export: it reads each billing period that AWS has written anew")
        exports = Exports(self._aws(source), self._cursors(source))
        statements = []
        for manifest in exports.changed():
            try:
                statements.append(self._statement(source, exports, manifest))
            except SourceError as error:  # of one period: the others go on, and this one is tried again next time
                name = exports.source_file(manifest)
                statements.append({"file": name, "error": str(error), "failed": True})
            if self.stop.asked:
                break
        return {"statements": statements, "failed": any(each["failed"] for each in statements)}

    def _statement(self, source: AwsSource, exports: Exports, manifest: Manifest) -> dict[str, Any]:
        """Load what a manifest names, and remember it."""
        with self._place() as folder:
            file = exports.fetch(manifest, Path(folder))
            reading = Reading(self.settings.names, source.name, exports.source_file(manifest), manifest.modified)
            account = load_statement(self.road, file, reading, self.settings.limits)
        exports.done(manifest)
        return account

    def _cursors(self, source: AwsSource) -> WarehouseCursors:
        return WarehouseCursors(self.warehouse, source.name)

    def _place(self) -> "tempfile.TemporaryDirectory[str]":
        cache = self.settings.state / "cache"
        cache.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(prefix="export-", dir=cache)


def source_of(settings: Settings, name: str) -> AwsSource:
    """Return the profile's AWS source of this name, or its only one. Raises UsageError where there is none."""
    there = {source.name: source for source in settings.sources if isinstance(source, AwsSource)}
    if not there:
        raise UsageError(f"the profile '{settings.name}' has no source of kind aws; params/production.yaml shows one")
    if name and name not in there:
        raise UsageError(f"no aws source '{name}'; there are {', '.join(there)}{did_you_mean(name, there)}")
    if not name and len(there) > 1:
        raise UsageError(f"which source? say --source, one of {', '.join(there)}")
    return there[name] if name else next(iter(there.values()))


def since_of(text: str) -> datetime | None:
    """`2025-11-01`, or a time with its zone; None for nothing."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--since '{text}' is no date; write it like 2025-11-01, or 2025-11-01T06:00:00Z") from None
    if moment.tzinfo is None and len(text) > len("2025-11-01"):
        raise UsageError(f"--since '{text}' has no time zone; add Z for UTC")
    return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)


def business_account(where: str, read: LinesRead) -> dict[str, Any]:
    """What came of lines, as plain data."""
    return {"produced": BUSINESS, "source": where, "read": read.read, "accepted": read.accepted,
            "rejected": read.rejected, "reasons": read.reasons, "failed": read.rejected > 0}  # fmt: skip


def _plain(read: Any) -> dict[str, Any]:  # noqa: ANN401 (a dataclass)
    told = dataclasses.asdict(read)
    return {key: value.isoformat() if isinstance(value, datetime) else value for key, value in told.items()}


def _now() -> datetime:
    return datetime.now(UTC)
