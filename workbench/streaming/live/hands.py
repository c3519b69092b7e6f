"""Work beside the loop that can be given up: what hangs must hold neither the loop nor the end of the process."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

_T = TypeVar("_T")


class Hands:
    """Does so many things at a time, each in a thread of its own.

    Not a ThreadPoolExecutor, which waits for its threads whenever it ends, and once more when the process does:
    librdkafka's `send_offsets_to_transaction` may never come back after a broker was away, whatever time it was given
    (issues 5456 and 5511 there).
    """

    def __init__(self, count: int = 8) -> None:
        self._free = threading.Semaphore(count)

    def begin(self, work: Callable[..., _T], *given: Any) -> Future[_T]:  # noqa: ANN401
        """Begin `work(*given)`; the future tells what came of it."""
        future: Future[_T] = Future()
        threading.Thread(target=self._do, args=(future, work, given), name="step", daemon=True).start()
        return future

    def _do(self, future: Future[_T], work: Callable[..., _T], given: tuple[Any, ...]) -> None:
        with self._free:
            try:
                future.set_result(work(*given))
            except BaseException as error:  # noqa: BLE001 (raised again where the result is asked for)
                future.set_exception(error)
