"""How long changes of machines take, and what is shown of a machine until one is done.

On Triton every change is a job; CloudAPI answers 202 or 200 at once and shows the machine as
VMAPI has it, which learns of the change from the end of the job (vmapi, workflows/*.js).  Here
the record has a change when it is accepted, so until its job ends the machine is shown without.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, replace

from localdc.api.model import Machine

# What changes by orders of clients, and is shown when their job has ended.
_CHANGED_BY_ORDER = (
    *("name", "package", "memory", "disk", "cpu_cap", "tags", "metadata", "internal_metadata"),
    *("firewall_enabled", "deletion_protection", "nics", "updated"),
)


@dataclass(frozen=True, slots=True)
class _Unseen:
    """A machine as it was before a job was ordered."""

    job: int
    before: Machine


class Pace:
    """The pace of a data center; without `seconds` every change takes what it takes.

    seconds: the least and the most that is waited before a job which a client ordered.
    closing: nothing is waited for any more.
    """

    def __init__(self) -> None:
        self.seconds: tuple[float, float] | None = None
        self.closing = False
        self._random = random.Random(0)
        self._unseen: dict[str, list[_Unseen]] = {}

    def set(self, seconds: tuple[float, float] | None, seed: int) -> None:
        """Change it for jobs that have not begun; the same seed gives the same delays."""
        self.seconds = seconds
        self._random = random.Random(seed)

    async def wait(self) -> None:
        """Return when it is time for a job."""
        until = time.monotonic() + (self._random.uniform(*self.seconds) if self.seconds else 0.0)
        while not self.closing and (left := until - time.monotonic()) > 0:
            await asyncio.sleep(min(left, 0.25))

    def ordered(self, job: int, before: Machine) -> None:
        """A job was ordered that changes this machine, and the record will have the change."""
        if self.seconds:
            self._unseen.setdefault(before.uuid, []).append(_Unseen(job, before))

    def ended(self, job: int, machine: str) -> None:
        """What the job changed may be seen from now on; also of one that was never ordered."""
        left = [unseen for unseen in self._unseen.get(machine, ()) if unseen.job != job]
        if left:
            self._unseen[machine] = left
        else:
            self._unseen.pop(machine, None)

    def forget(self, machine: str) -> None:
        """The machine is gone."""
        self._unseen.pop(machine, None)

    def shown(self, machine: Machine) -> Machine:
        """The machine as clients see it: without the changes of jobs that have not ended."""
        unseen = self._unseen.get(machine.uuid)
        if not unseen:
            return machine
        before = unseen[0].before
        return replace(machine, **{name: getattr(before, name) for name in _CHANGED_BY_ORDER})
