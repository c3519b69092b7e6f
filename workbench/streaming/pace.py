"""Who sends waits for who reads, where the broker keeps only so much."""

import threading
import time

from workbench.errors import BrokerError

_FORGETS = 0.98  # what is on the way is some tens of sendings


class Pace:
    """Bytes on the way between a producer and a consumer, and a limit to them.

    A partition of the embedded broker forgets its oldest messages beyond a few megabytes; since all events may have
    the same key, all that is on the way has to fit into one, as it is there: compressed.
    """

    def __init__(self, most: int | None, timeout_s: float) -> None:
        self._most = most
        self._timeout_s = timeout_s
        self._on_the_way = 0
        self._shrinks_to = 0.0
        self._stopped = False
        self._changed = threading.Condition()

    def send(self, size: int, shrinks_to: float = 1.0) -> None:
        """Wait until `size` more bytes may be sent. Something that is larger than the limit goes alone.

        `shrinks_to` is the share that is left of them by compression; what shrank less and may still be on the way
        counts for a while.

        Raises
        ------
        BrokerError
            Nobody has read anything for too long, or the road was closed.
        """
        if self._most is None:
            if self._stopped:
                raise BrokerError("the road was closed while events were sent")
            return
        with self._changed:
            seen, since = self._on_the_way, time.monotonic()
            self._shrinks_to = max(shrinks_to, self._shrinks_to * _FORGETS)
            most = self._most / self._shrinks_to
            while self._on_the_way > 0 and self._on_the_way + size > most and not self._stopped:
                self._changed.wait(1)
                if self._on_the_way != seen:
                    seen, since = self._on_the_way, time.monotonic()
                elif time.monotonic() - since > self._timeout_s:
                    raise BrokerError(
                        f"nobody has read from the broker for {self._timeout_s:.0f} s: sending has stopped"
                    )
            if self._stopped:
                raise BrokerError("the road was closed while events were sent")
            self._on_the_way += size

    @property
    def limited(self) -> bool:
        """Whether there is a limit at all."""
        return self._most is not None

    def taken(self, size: int) -> None:
        """So many bytes have arrived."""
        with self._changed:
            self._on_the_way = max(0, self._on_the_way - size)
            self._changed.notify_all()

    def stop(self) -> None:
        """Wake up who waits; nothing more is sent."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
