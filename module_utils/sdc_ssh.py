"""Whether a machine really lets us in: one ssh command, repeated until it works."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

HOPELESS = ("REMOTE HOST IDENTIFICATION HAS CHANGED", "Bad configuration option")


class SshProbe:
    """Tries `ssh MACHINE true`.

    Host keys are remembered under the machine's id, because addresses are used again.
    """

    def __init__(
        self, config: str | None, user: str, arguments: Sequence[str], deadline: float
    ) -> None:
        self.config = config
        self.user = user
        self.arguments = arguments
        self.deadline = deadline
        self.stop = threading.Event()
        self.problems: dict[str, str] = {}

    @staticmethod
    def available() -> bool:
        """Whether there is an ssh command at all."""
        return shutil.which("ssh") is not None

    def command(self, machine: Mapping[str, Any]) -> list[str]:
        """The command line for one machine."""
        ident, name = str(machine["id"]), str(machine.get("name"))
        command = ["ssh", "-F", self.config] if self.config else ["ssh"]
        for option in (
            "BatchMode=yes",
            "ConnectTimeout=10",
            "StrictHostKeyChecking=accept-new",
            f"HostKeyAlias={ident}",
        ):
            command += ["-o", option]
        for argument in self.arguments:
            command.append(argument.replace("{id}", ident).replace("{name}", name))
        return [*command, "-l", self.user, "--", str(machine["primaryIp"]), "true"]

    def wait(self, machine: Mapping[str, Any]) -> str:
        """Try until it works (empty string), the deadline, or a reason that will not go away.

        `problems` holds the last reason of each machine meanwhile.
        """
        pause = 0.2
        while True:
            problem = self._attempt(machine)
            self.problems[str(machine["id"])] = problem
            if not problem or self.stop.is_set() or any(sign in problem for sign in HOPELESS):
                return problem
            if time.monotonic() + pause >= self.deadline:
                return problem
            self.stop.wait(pause)
            pause = min(pause * 1.5, 3.0)

    def _attempt(self, machine: Mapping[str, Any]) -> str:
        limit = max(1.0, min(30.0, self.deadline - time.monotonic()))
        try:
            done = subprocess.run(
                self.command(machine),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=limit,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"ssh did not finish within {limit:.0f} s"
        if done.returncode == 0:
            return ""
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        sign = next((sign for sign in HOPELESS if sign in done.stderr), "")
        return sign or (lines[-1] if lines else f"ssh ended with status {done.returncode}")
