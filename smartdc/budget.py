"""The time that one call may take, with all its repetitions and the pauses between them."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Literal

Trouble = Literal["throttled", "refused", "cut", "timed out", "not connected"]
"""Why a request is sent again: 429, 503 and the like, or a connection that brought no answer."""

LIMIT = 45.0
"""Seconds of a call, unless said otherwise.

A front end that restarts, or an account whose other programs use up its rate, is back within half a
minute; the last pause of 8 s and the request after it have to fit, too.
"""
_LONGEST = 8.0


class Budget:
    """Counts each kind of trouble by itself: a cut after ten throttlings is the first cut.

    :param seconds: from now on
    :param jitter: spreads the pauses, so that many clients do not come back in step
    :param clock: seconds that only grow
    """

    def __init__(
        self,
        seconds: float,
        jitter: random.Random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._jitter, self._clock = jitter, clock
        self._began = clock()
        self._end = self._began + seconds
        # of an attempt: with less time its only news would be that there was none
        self._least = min(1.0, seconds / 10)
        self.troubles: Counter[Trouble] = Counter()

    @property
    def left(self) -> float:
        """Seconds until the end."""
        return self._end - self._clock()

    @property
    def over(self) -> bool:
        """Whether no attempt is worth while any more."""
        return self.left < self._least

    def count(self, trouble: Trouble) -> int:
        """Note a trouble; returns how many of its kind there were."""
        self.troubles[trouble] += 1
        return self.troubles[trouble]

    def pause(self, trouble: Trouble, asked: float | None = None) -> float | None:
        """Seconds to wait after this trouble; None when nothing would be left then.

        :param asked: seconds that the server asks to wait
        """
        if asked is not None:
            delay = asked * self._jitter.uniform(1.0, 1.1) + self._jitter.uniform(0.0, 0.1)
        else:
            longest = min(_LONGEST, 0.25 * 2.0 ** min(self.troubles[trouble], 10))
            delay = longest * self._jitter.uniform(0.5, 1.0)
        return delay if delay <= self.left - self._least else None

    def summary(self) -> str:
        """How often and for how long it was tried, for a message; empty after one attempt."""
        attempts = self.troubles.total()
        if attempts < 2:
            return ""
        seconds = self._clock() - self._began
        kinds = ", ".join(f"{number} {kind}" for kind, number in self.troubles.items())
        return f"asked {attempts} times in {seconds:.0f} s ({kinds})"
