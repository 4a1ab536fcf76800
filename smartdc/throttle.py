"""A token bucket, so that the client stays below the server's throttle.

CloudAPI allows each account a burst of 30 requests and then 10 a second
(sdc-cloudapi, sapi_manifests/cloudapi/template and docs/admin.md).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from .errors import UsageError


class TokenBucket:
    """Thread safe; callers are served in the order in which they came.

    :param burst: requests that may go at once, >= 1
    :param rate: requests per second after that, > 0; None means no limit
    """

    def __init__(
        self,
        burst: float = 30,
        rate: float | None = 10,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if burst < 1 or (rate is not None and rate <= 0):
            raise UsageError("rate limit: burst must be at least 1 and rate above 0")
        self.burst = float(burst)
        self.rate = rate
        self._clock, self._sleep = clock, sleep
        self._lock = threading.Lock()
        self._tokens = self.burst
        self._at = clock()

    def _refill(self, rate: float) -> None:
        now = self._clock()
        self._tokens = min(self.burst, self._tokens + (now - self._at) * rate)
        self._at = now

    def take(self) -> float:
        """Wait for a token; returns the seconds waited."""
        rate = self.rate
        if rate is None:
            return 0.0
        with self._lock:
            self._refill(rate)
            self._tokens -= 1
            # a debt is this caller's place in the queue
            wait = max(0.0, -self._tokens / rate)
        if wait:
            self._sleep(wait)
        return wait

    def drain(self) -> None:
        """The server says the bucket is empty: believe it, for all threads."""
        rate = self.rate
        if rate is None:
            return
        with self._lock:
            self._refill(rate)
            self._tokens = min(self._tokens, 0.0)
