"""A method as it will run, and one that runs (smf_method(7))."""

from __future__ import annotations

from .context import Context

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
else:
    # without the enumerations of the module around it
    import _signal as signal
if TYPE_CHECKING:
    from .contracts import Contract
    from .loop import Timer


class Method:
    """A method as it will run: ``null``, ``kill`` with ``signal``, or ``exec`` with ``command``."""

    __slots__ = ("command", "context", "kind", "name", "signal", "timeout")

    def __init__(self, name: str, command: str, timeout: int) -> None:
        self.name = name
        self.command = command
        # seconds, 0 without limit
        self.timeout = timeout
        self.context = Context()
        self.signal = _kill_signal(command)
        self.kind = "null" if command == ":true" else "kill" if self.signal else "exec"


class Run:
    """A method that is being run for an instance, until its result is known."""

    __slots__ = (
        "auxiliary", "contract", "draining", "error", "event", "kind", "method", "pid", "started",
        "timed_out", "timer",
    )  # fmt: skip

    def __init__(self, kind: str, event: str, auxiliary: str | None) -> None:
        # start, stop or refresh
        self.kind = kind
        # what dependents are told when it is done: none, restart, error, refresh
        self.event = event
        self.auxiliary = auxiliary
        self.method: Method | None = None
        self.pid = 0
        self.contract: Contract | None = None
        self.draining = False
        self.started = 0.0
        self.timed_out = False
        self.timer: Timer | None = None
        self.error: str | None = None


def _kill_signal(command: str) -> int:
    """The signal of ``:kill [-signal]``; 0 for everything else, which the shell gets."""
    words = command.split()
    if not words or words[0] != ":kill":
        return 0
    if len(words) == 1:
        return int(signal.SIGTERM)
    if not words[1].startswith("-"):
        return 0
    # str2sig(3C): a number, or a name without SIG
    name = words[1][1:]
    wanted = int(name) if name.isdecimal() else getattr(signal, "SIG" + name, 0)
    return wanted if wanted in signal.valid_signals() else 0
