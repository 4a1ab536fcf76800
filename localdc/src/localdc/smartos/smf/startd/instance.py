"""One service instance as svc.startd manages it: state, processes, history."""

from __future__ import annotations

import time

from ..model import UP, Groups, SmfError, boolean_of, number, value_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .contracts import Contract
    from .dependency import Dependency
    from .run import Run

# startd.h: five starts in the mean closer than ten minutes; wait services are held for a second
START_TIMES = 5
# restarter.c, libscf.c: anything else, blanks included, ignores nothing
IGNORE_ERROR = {
    "core": ("core",), "signal": ("signal",),
    "core,signal": ("core", "signal"), "signal,core": ("core", "signal"),
}  # fmt: skip
FAILURE_RATE = 600.0
WAIT_FAILURE_RATE = 1.0
WAIT_THROTTLE = 1.0
FAULT_THRESHOLD = 3
# the count is read as an unsigned int
_UNSIGNED = 0xFFFFFFFF


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
        "start_times",
        "starts",
        "state",
        "style",
        "throttled",
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
        self.critical: tuple[int, int] | None = None
        self.dependencies: list[Dependency] = []
        self.contract: Contract | None = None
        self.nodaemon = False
        self.run: Run | None = None
        self.wait_pid = 0
        self.start_pid = 0
        self.start_time = 0.0
        self.start_status: int | None = None
        # starts since the last request of an administrator, and the times of the last ones
        self.starts = 0
        self.start_times = [0.0] * START_TIMES
        self.faults = 0
        self.queue: list[Callable[[], None]] = []
        # a wait service that failed too quickly, whose end svc.startd sleeps over
        self.throttled = False
        self.log_noted = False
        # version of the graph in which it was found free of cycles
        self.checked = -1

    @property
    def up(self) -> bool:
        """Running, perhaps degraded."""
        return self.state in UP

    @property
    def moving(self) -> bool:
        """In transition: requests have to wait."""
        return self.run is not None or self.throttled

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
        self.ignore = frozenset(IGNORE_ERROR.get(ignore, ()))
        self.session = boolean_of(groups, "startd", "need_session") is True
        self.timeout_retry = boolean_of(groups, "startd", "timeout_retry") is not False
        count = _integer(groups, "critical_failure_count")
        period = _integer(groups, "critical_failure_period")
        self.critical = None if count is None or period is None else (count & _UNSIGNED, period)

    def record_start(self) -> None:
        """Remember that the start method runs now (method_record_start)."""
        self.start_times[self.starts % START_TIMES] = time.monotonic()
        self.starts += 1

    def too_quick(self, failure_rate: float) -> bool:
        """Were the last starts closer together, in the mean, than `failure_rate` seconds?

        ``startd/critical_failure_count`` and ``critical_failure_period`` overrule the rate. As in
        illumos until 2026 (method_rate_critical) the times are kept modulo five, and read modulo
        the count, so that with two to four the next start has a negative distance.

        Raises SmfError where illumos divides by zero or reads what is no start time.
        """
        count, rate = self.critical or (START_TIMES, failure_rate)
        if self.starts < count:
            return False
        if not 2 <= count <= START_TIMES:
            raise SmfError(
                f"startd/critical_failure_count is {count}, and svc.startd keeps {START_TIMES}"
                f" start times: set it to {START_TIMES}."
            )
        last, first = (self.start_times[(self.starts - back) % count] for back in (1, 0))
        return (last - first) / (count - 1) < rate


def _integer(groups: Groups, name: str) -> int | None:
    """A ``startd`` property, which counts as an integer only (scf_read_propvec)."""
    prop = groups["startd"].props.get(name) if "startd" in groups else None
    if prop is None or prop.type != "integer" or len(prop.values) != 1:
        return None
    return number(prop.values[0])
