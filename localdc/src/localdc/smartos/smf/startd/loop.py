"""The event loop of svc.startd: descriptors, signals and one-shot timers, nothing periodic."""

from __future__ import annotations

import heapq
import os
import time
from select import EPOLLIN, EPOLLOUT, epoll

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
else:
    # without the enumerations of the module around it
    import _signal as signal

READ = EPOLLIN
WRITE = EPOLLOUT


class Timer:
    """A call that is due once; `cancel` makes it never happen."""

    __slots__ = ("call", "due")

    def __init__(self, due: float, call: Callable[[], None]) -> None:
        self.due = due
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        """Drop the call; harmless when it has been made already."""
        self.call = None

    def __lt__(self, other: Timer) -> bool:
        return self.due < other.due


class Loop:
    """Single-threaded; `settled` is called after every batch of events."""

    def __init__(self, failed: Callable[[Exception], None]) -> None:
        self.failed = failed
        self.settled: Callable[[], None] = lambda: None
        self.stopped = False
        self._poll = epoll()
        self._calls: dict[int, Callable[[], None]] = {}
        self._timers: list[Timer] = []
        self._signals: dict[int, Callable[[], None]] = {}
        self._wake, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        self.watch(self._wake, READ, self._drain)

    def watch(self, fd: int, events: int, call: Callable[[], None]) -> None:
        """Call `call` while `fd` is ready; again for the same `fd` to change the events."""
        if fd in self._calls:
            self._poll.modify(fd, events)
        else:
            self._poll.register(fd, events)
        self._calls[fd] = call

    def forget(self, fd: int) -> None:
        """No longer watch `fd`."""
        del self._calls[fd]
        self._poll.unregister(fd)

    def on_signal(self, number: int, call: Callable[[], None]) -> None:
        """Call `call` from the loop after signal `number` has come, once for several."""
        self._signals[number] = call
        signal.signal(number, lambda _number, _frame: None)

    def after(self, seconds: float, call: Callable[[], None]) -> Timer:
        """Call `call` once, in `seconds`."""
        timer = Timer(time.monotonic() + seconds, call)
        heapq.heappush(self._timers, timer)
        return timer

    def run(self) -> None:
        """Serve until `stopped` is set. As pid 1 it outlives its own errors, but reports them."""
        self.guard(self.settled)
        while not self.stopped:
            for fd, _events in self._poll.poll(self._timeout()):
                # one event may close the descriptor of another
                if fd in self._calls:
                    self.guard(self._calls[fd])
            self._fire()
            self.guard(self.settled)

    def guard(self, call: Callable[[], None]) -> None:
        """Make a call whose failure is reported and stops nothing."""
        try:
            call()
        except Exception as error:
            self.failed(error)

    def _timeout(self) -> float | None:
        while self._timers and self._timers[0].call is None:
            heapq.heappop(self._timers)
        return max(0.0, self._timers[0].due - time.monotonic()) if self._timers else None

    def _fire(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0].due <= now:
            timer = heapq.heappop(self._timers)
            if timer.call is not None:
                call, timer.call = timer.call, None
                self.guard(call)

    def _drain(self) -> None:
        try:
            numbers = set(os.read(self._wake, 4096))
        except BlockingIOError:
            return
        for number in numbers:
            if number in self._signals:
                self.guard(self._signals[number])
