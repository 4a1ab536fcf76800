"""Token bucket per account, as sdc-cloudapi has it (docs/admin.md, Throttles)."""

from __future__ import annotations

import time
from collections.abc import Callable

from localdc.api.settings import Throttle


class Buckets:
    """One bucket per account.

    limits: None = never refuse.  clock: seconds, monotonic.
    """

    def __init__(
        self, limits: Throttle | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.limits = limits
        # 429 by CloudAPI's code; its documentation says 420.
        self.status = 429
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def change(self, limits: Throttle | None) -> None:
        """From now on these limits; every bucket is full again."""
        self.limits = limits
        self._buckets.clear()

    def take(self, account: str) -> bool:
        """Take one token; False when the bucket is empty."""
        if self.limits is None:
            return True
        now = self._clock()
        tokens, since = self._buckets.get(account, (float(self.limits.burst), now))
        tokens = min(float(self.limits.burst), tokens + (now - since) * self.limits.rate)
        allowed = tokens >= 1.0
        self._buckets[account] = (tokens - 1.0 if allowed else tokens, now)
        return allowed
