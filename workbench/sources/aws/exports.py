"""Exports in S3: the newest statement of each billing period, as one file for the reader of bills.

AWS writes an export's files below `<prefix>/data/`, and, when all of them are there, a manifest below
`<prefix>/metadata/BILLING_PERIOD=2025-10/` that names them. A manifest that has not changed since is not read again.
The parts of a statement become one file, because equal lines are told apart by their number within a statement, however
AWS cuts it. CUR 2.0 is translated on the way (`sources.aws.cur`), a FOCUS export stays as it is.
"""

import json
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from botocore.exceptions import BotoCoreError

from workbench.errors import SourceError
from workbench.settings import AwsExport
from workbench.sources.aws.calls import Aws
from workbench.sources.aws.parts import merge_parts
from workbench.sources.handed import Cursors

CURSOR = "export"
_PERIOD = re.compile(r"/billing_period=(\d{4}-\d{2})/", re.IGNORECASE)
_MANIFEST = re.compile(r"manifest\.json$", re.IGNORECASE)
_S3 = re.compile(r"^s3://([^/]+)/(.+)$")


class Manifest(NamedTuple):
    """What names the files of one statement."""

    period: str
    """`2025-10`."""
    key: str
    etag: str
    modified: datetime
    """When AWS wrote it: when the statement was made."""


@dataclass(frozen=True)
class Exports:
    """One source's export."""

    aws: Aws
    cursors: Cursors

    def manifests(self) -> list[Manifest]:
        """The newest manifest of each billing period, oldest period first.

        Raises
        ------
        SourceError
            There is no export, or no manifest where it should be.
        """
        export, newest = self._export, dict[str, Manifest]()
        for found in self._listed(f"{export.prefix.strip('/')}/metadata/"):
            period = _PERIOD.search(found["Key"])
            if period and _MANIFEST.search(found["Key"]):
                modified = found["LastModified"].astimezone(UTC)
                manifest = Manifest(period[1], found["Key"], found["ETag"].strip('"'), modified)
                newest[manifest.period] = max(manifest, newest.get(manifest.period, manifest), key=_age)
        if not newest:
            raise SourceError(
                f"source '{self.aws.source.name}': s3://{export.bucket}/{export.prefix.strip('/')}/metadata/ holds no "
                "manifest of a billing period; check export.bucket and export.prefix (prefix and name of the export), "
                "or wait for the first delivery"
            )
        return [newest[period] for period in sorted(newest)]

    def changed(self) -> list[Manifest]:
        """Those that have not been read as they are now."""
        return [each for each in self.manifests() if self.cursors.get(self._cursor(each)) != _signature(each)]

    def fetch(self, manifest: Manifest, folder: Path) -> Path:
        """Download the files that a manifest names, and return them as one file in `folder`.

        Raises
        ------
        SourceError
            Something is missing or broken, or AWS refuses.
        """
        client, name = self._client, self.source_file(manifest)
        held = self.aws.ask(
            client, "get_object", Bucket=self._export.bucket, Key=manifest.key, IfMatch=f'"{manifest.etag}"'
        )
        parts = []
        for number, (bucket, key) in enumerate(files_of(held["Body"].read(), self._export.bucket, manifest.key)):
            ending = "".join(Path(key).suffixes[-2:])
            parts.append(folder / f"part-{number:05}{ending}")
            self._download(client, bucket, key, parts[-1])
        return merge_parts(parts, folder, name)

    def done(self, manifest: Manifest) -> None:
        """Remember that it has been read."""
        self.cursors.set(self._cursor(manifest), _signature(manifest))

    def source_file(self, manifest: Manifest) -> str:
        """What the statement is called in the book of loads: the same for all statements of a period."""
        return f"{self._export.prefix.strip('/').rpartition('/')[2]}/{manifest.period}"

    @property
    def _export(self) -> AwsExport:
        export, name = self.aws.source.export, self.aws.source.name
        if export is None:
            raise SourceError(f"source '{name}' has no export; say in the profile where it lies: export.bucket, "
                              "export.prefix")  # fmt: skip
        return export

    @property
    def _client(self) -> Any:  # noqa: ANN401 (boto3 has no types)
        return self.aws.client("s3", self._export.region)

    def _listed(self, prefix: str) -> Iterable[dict[str, Any]]:
        pages = self.aws.pages(self._client, "list_objects_v2", "NextContinuationToken",
                               Bucket=self._export.bucket, Prefix=prefix)  # fmt: skip
        return (found for page in pages for found in page.get("Contents", []))

    def _cursor(self, manifest: Manifest) -> str:
        return f"{CURSOR}:{self._export.bucket}/{self._export.prefix.strip('/')}:{manifest.period}"

    def _download(self, client: Any, bucket: str, key: str, path: Path) -> None:  # noqa: ANN401
        answer = self.aws.ask(client, "get_object", Bucket=bucket, Key=key)
        try:
            with path.open("wb") as file:
                shutil.copyfileobj(answer["Body"], file, 1 << 20)
        except (BotoCoreError, OSError) as error:
            raise SourceError(f"s3://{bucket}/{key}: the download broke off ({error}); run again") from error
        if path.stat().st_size != answer["ContentLength"]:
            raise SourceError(f"s3://{bucket}/{key}: {path.stat().st_size} of {answer['ContentLength']} bytes came; "
                              "run again")  # fmt: skip


def _age(manifest: Manifest) -> tuple[datetime, str]:
    return manifest.modified, manifest.key


def _signature(manifest: Manifest) -> str:
    return json.dumps([manifest.key, manifest.etag, manifest.modified.isoformat()])


def files_of(manifest: bytes, bucket: str, name: str) -> list[tuple[str, str]]:
    """Bucket and key of each file that a manifest names, in its order.

    Raises
    ------
    SourceError
        It is no manifest, or names none.
    """
    try:
        held = json.loads(manifest)
        files = held.get("dataFiles") or held.get("reportKeys") or []
        found = [match.groups() if (match := _S3.match(file)) else (bucket, file) for file in files]
    except (ValueError, AttributeError, TypeError) as error:
        raise SourceError(f"s3://{bucket}/{name} is no manifest of an export ({error})") from error
    if not found:
        raise SourceError(f"s3://{bucket}/{name} names no files under dataFiles; wait for the next delivery")
    return [(str(bucket), str(key)) for bucket, key in found]
