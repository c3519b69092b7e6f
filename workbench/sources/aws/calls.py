"""Asking AWS: throttled calls are tried again, bounded; any other refusal is an error that says what to do."""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)

from workbench.errors import SourceError
from workbench.settings import AwsSource
from workbench.sources.handed import Wait

THROTTLED = {
    "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "RequestThrottledException",
    "TooManyRequestsException", "LimitExceededException", "RequestLimitExceeded", "BandwidthLimitExceeded", "SlowDown",
}  # fmt: skip
"""Codes that mean: the same later. Cost Explorer says LimitExceededException."""

ATTEMPTS = 8
FIRST_S, LONGEST_S = 1.0, 60.0
_TIMEOUT_S = 60

_ADVICE = {
    "AccessDeniedException": "allow the action to the role or user whose credentials are used",
    "AccessDenied": "allow the action to the role or user whose credentials are used",
    "UnauthorizedOperation": "allow the action to the role or user whose credentials are used",
    "ExpiredToken": "log in again: the session's credentials have expired",
    "ExpiredTokenException": "log in again: the session's credentials have expired",
    "UnrecognizedClientException": "check the credentials: AWS does not know the key",
    "InvalidClientTokenId": "check the credentials: AWS does not know the key",
    "DataUnavailableException": "Cost Explorer has no data for that time yet: switch it on, and give it a day",
    "BillExpirationException": "that time is too long ago: lower history_days",
    "NoSuchBucket": "check export.bucket in the profile",
    "PreconditionFailed": "AWS has written the export anew meanwhile: run again",
    "NoSuchKey": "the manifest names a file that is gone: wait for the next delivery of the export",
    "ValidationException": "check the source in the profile; hourly costs have to be switched on in Cost Explorer",
}
_ELSE = "see AWS's text; `aws sts get-caller-identity` says who is asking"
_UNAVAILABLE = range(500, 600)
_NO_CREDENTIALS = (
    NoCredentialsError, PartialCredentialsError, CredentialRetrievalError, SSOError, TokenRetrievalError,
)  # fmt: skip


@dataclass
class Aws:
    """Clients of one source, and how they are asked.

    Parameters
    ----------
    source
        Its `aws_profile` and `endpoint_url` count.
    wait
        Sleeps; raises what ends the run where it is asked to stop.
    chance
        A random number from 0 to 1, so that several producers do not come back together.
    """

    source: AwsSource
    wait: Wait = time.sleep
    chance: Callable[[], float] = random.random
    _clients: dict[tuple[str, str], Any] = field(default_factory=dict, repr=False)
    _account: str = field(default="", repr=False)

    def client(self, service: str, region: str = "us-east-1") -> Any:  # noqa: ANN401 (boto3 has no types)
        """A client of boto3's. Credentials come from where AWS's own tools take them."""
        if (service, region) not in self._clients:
            import boto3
            from botocore.config import Config

            config = Config(retries={"total_max_attempts": 1}, connect_timeout=10, read_timeout=_TIMEOUT_S)
            try:
                session = boto3.Session(profile_name=self.source.aws_profile, region_name=region)
                self._clients[service, region] = session.client(
                    service, config=config, endpoint_url=self.source.endpoint_url
                )
            except ProfileNotFound:
                raise SourceError(
                    f"source '{self.source.name}': AWS's config files have no profile '{self.source.aws_profile}'; "
                    "`aws configure list-profiles` lists them"
                ) from None
            except (BotoCoreError, ValueError) as error:
                raise SourceError(f"source '{self.source.name}': AWS can't be asked for {service}: {error}") from error
        return self._clients[service, region]

    def ask(self, client: Any, operation: str, **request: Any) -> dict[str, Any]:  # noqa: ANN401
        """Call an operation (in boto3's spelling), again where AWS says that it was too often.

        Raises
        ------
        SourceError
            AWS refuses, or is still throttling after `ATTEMPTS` calls: the operation, AWS's code, the way out.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                answer: dict[str, Any] = getattr(client, operation)(**request)
            except ClientError as error:
                if not _later(error) or attempt == ATTEMPTS:
                    raise self._told(operation, error, attempt) from error
            except _NO_CREDENTIALS as error:
                raise SourceError(
                    f"source '{self.source.name}': {operation}: there are no AWS credentials to be used ({error}); set "
                    "AWS_PROFILE, or aws_profile in the profile; log in (`aws sso login`); or run where a role is given"
                ) from None
            except BotoCoreError as error:
                if attempt == ATTEMPTS or not _is_network(error):
                    raise SourceError(
                        f"source '{self.source.name}': {operation}: {error}; check the network and endpoint_url"
                    ) from error
            else:
                return answer
            self.wait(self.pause(attempt))
        raise AssertionError("the last attempt returns or raises")

    def pause(self, attempt: int) -> float:
        """Seconds before the next attempt: doubling up to a minute, and by chance between half of it and all."""
        longest: float = min(LONGEST_S, FIRST_S * 2 ** (attempt - 1))
        return longest * (0.5 + self.chance() / 2)

    def pages(self, client: Any, operation: str, token: str, **request: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401
        """All pages of an answer; `token` is what the operation calls the next one. One that comes back is an error."""
        answer = self.ask(client, operation, **request)
        seen: set[str] = set()
        yield answer
        while following := answer.get(token):
            if following in seen:
                raise SourceError(f"source '{self.source.name}': {operation}: AWS gave a page twice; run again")
            seen.add(following)
            answer = self.ask(client, operation, **request, **{token: following})
            yield answer

    def rest(self) -> None:
        """A place between two deliveries where a run may end: `wait` raises there if it is asked to stop."""
        self.wait(0.0)

    def account(self) -> str:
        """The number of the account whose credentials are used."""
        if not self._account:
            self._account = self.ask(self.client("sts"), "get_caller_identity")["Account"]
        return self._account

    def _told(self, operation: str, error: ClientError, attempt: int) -> SourceError:
        said = error.response.get("Error", {})
        code, text = said.get("Code", "?"), said.get("Message", "")
        times = f" after {attempt} attempts" if attempt > 1 else ""
        advice = "run less often, or raise the limit in AWS" if code in THROTTLED else _ADVICE.get(code, _ELSE)
        return SourceError(f"source '{self.source.name}': {operation}: AWS refuses{times}: {code}: {text}; {advice}")


def _later(error: ClientError) -> bool:
    code = error.response.get("Error", {}).get("Code", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return code in THROTTLED or status in _UNAVAILABLE


def _is_network(error: BotoCoreError) -> bool:
    from botocore.exceptions import ConnectionError as NoConnection
    from botocore.exceptions import HTTPClientError

    return isinstance(error, NoConnection | HTTPClientError)
