"""One service instance as svc.startd manages it: state, processes, history."""

from __future__ import annotations

import time

from .model import Groups, boolean_of, number, value_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .contracts import Contract
    from .graph import Dependency
    from .loop import Timer
    from .methods import Run

UP = ("online", "degraded")
# startd.h: five starts in the mean closer than ten minutes; wait services are held for a second
START_TIMES = 5
FAILURE_RATE = 600.0
WAIT_FAILURE_RATE = 1.0
WAIT_THROTTLE = 1.0
FAULT_THRESHOLD = 3


class Instance:
    """State of one instance. Only the restarter changes it."""

    __slots__ = (
        "auxiliary",
        "checked",
        "contract",
        "critical",
        "dependencies",
        "enabled",
        "enabled_soon",
        "faults",
        "fmri",
        "ignore",
        "log_noted",
        "next_state",
        "nodaemon",
        "queue",
        "run",
        "session",
        "since",
        "start_pid",
        "start_status",
        "start_time",
        "starts",
        "state",
        "style",
        "throttle",
        "timeout_retry",
        "wait_pid",
    )

    def __init__(self, fmri: str) -> None:
        self.fmri = fmri
        self.state = "uninitialized"
        self.next_state = "none"
        self.auxiliary = "none"
        self.since = time.time()
        self.enabled: bool | None = None
        # an enable that has been asked for and waits in the queue
        self.enabled_soon = False
        self.style = "contract"
        self.ignore: frozenset[str] = frozenset()
        self.timeout_retry = True
        self.session = False
        self.critical: tuple[int, float] | None = None
        self.dependencies: list[Dependency] = []
        self.contract: Contract | None = None
        self.nodaemon = False
        self.run: Run | None = None
        self.wait_pid = 0
        self.start_pid = 0
        self.start_time = 0.0
        self.start_status: int | None = None
        self.starts: list[float] = []
        self.faults = 0
        self.queue: list[Callable[[], None]] = []
        self.throttle: Timer | None = None
        self.log_noted = False
        # version of the graph in which it was found free of cycles
        self.checked = -1

    @property
    def up(self) -> bool:
        """Running, perhaps degraded."""
        return self.state in UP

    @property
    def transient(self) -> bool:
        """Its processes are not followed (``startd/duration``, or a start that exited with 94)."""
        return self.style == "transient" or self.nodaemon

    @property
    def waits(self) -> bool:
        """The start method is the service."""
        return self.style == "wait"

    def configure(self, groups: Groups) -> None:
        """Take the ``startd`` properties of the running configuration."""
        duration = value_of(groups, "startd", "duration") or "contract"
        self.style = {"child": "wait", "wait": "wait", "transient": "transient"}.get(
            duration, "contract"
        )
        ignore = value_of(groups, "startd", "ignore_error") or ""
        self.ignore = frozenset(word.strip() for word in ignore.split(","))
        self.session = boolean_of(groups, "startd", "need_session") is True
        self.timeout_retry = boolean_of(groups, "startd", "timeout_retry") is not False
        count = number(value_of(groups, "startd", "critical_failure_count")) or 0
        period = number(value_of(groups, "startd", "critical_failure_period")) or 0
        self.critical = (count, float(period)) if count > 0 and period > 0 else None

    def record_start(self) -> None:
        """Remember that the start method runs now."""
        keep = self.critical[0] if self.critical else START_TIMES
        self.starts = [*self.starts, time.monotonic()][-keep:]

    def too_quick(self, failure_rate: float) -> bool:
        """Were the last starts closer together, in the mean, than `failure_rate` seconds?

        ``startd/critical_failure_count`` and ``critical_failure_period`` overrule the rate.
        """
        count, rate = self.critical or (START_TIMES, failure_rate)
        if len(self.starts) < count:
            return False
        return (self.starts[-1] - self.starts[0]) / max(1, count - 1) < rate
