"""Whether a machine really lets us in: one ssh command, repeated until it works."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible.module_utils.sdc.client import Client, addresses, config, ssh
from ansible.module_utils.sdc.machine.group import Machine
from ansible.module_utils.sdc.offers import Offers

HOPELESS = {
    "REMOTE HOST IDENTIFICATION HAS CHANGED": "",
    "Bad configuration option": "",
    "no matching host key type": "",
    "unknown key %k": "OpenSSH 8.4 or newer is needed here",
    'Load key "': "ssh cannot use this file of the key, though CloudAPI takes its signatures",
}
"""What no later attempt changes, and what to say of it."""

REFUSALS = ("Permission denied", "Too many authentication failures", "Disconnected from")
"""What ssh says when the machine answers and does not take the key."""


class SshProbe:
    """Tries `ssh MACHINE true`.

    Host keys are remembered under the machine's id, because addresses are used again.

    :param destination: gives the `ssh.Destination` of a machine
    :param options: more words of the command, in which `{id}` and `{name}` are the machine's
    :param key: what a user knows the key by that is offered
    :param deadline: when all attempts end (monotonic clock)
    :param patience: seconds of nothing but refusals after which the key counts as refused; a
        machine that boots may not know its keys at once
    """

    def __init__(
        self,
        destination: Callable[[Machine], ssh.Destination],
        user: str,
        options: Sequence[str],
        key: str,
        deadline: float,
        patience: float,
    ) -> None:
        self.destination = destination
        self.user = user
        self.options = options
        self.key = key
        self.deadline = deadline
        self.patience = patience
        self.stop = threading.Event()
        self.problems: dict[str, str] = {}
        self.final: set[str] = set()
        """Ids of machines that no later attempt opens."""
        self._opened = threading.Event()
        self._refused_for_good = threading.Event()

    @staticmethod
    def available() -> bool:
        """Whether there is an ssh command at all."""
        return shutil.which("ssh") is not None

    def command(self, machine: Machine) -> list[str]:
        """The command line for one machine."""
        words = {"{id}": str(machine["id"]), "{name}": str(machine.get("name"))}
        options = []
        for option in self.options:
            for word, value in words.items():
                option = option.replace(word, value)
            options.append(option)
        return self.destination(machine).command(self.user, options, ["true"])

    def wait(self, machine: Machine) -> str:
        """Try until it works (empty string), the deadline, or a reason that will not go away.

        `problems` holds the last reason of each machine meanwhile, `final` those that are given up.
        """
        ident = str(machine["id"])
        pause, refused_since = 0.2, None
        while True:
            problem = self._attempt(machine)
            now = time.monotonic()
            if any(sign in problem for sign in REFUSALS):
                refused_since = refused_since or now
            else:
                refused_since = None
            if not problem:
                self._opened.set()
            if refused_since and self._is_final(now - refused_since):
                problem = self._refused(problem)
                self.final.add(ident)
            if any(sign in problem for sign in HOPELESS):
                self.final.add(ident)
            self.problems[ident] = problem
            if not problem or ident in self.final or self.stop.is_set():
                return problem
            if now + pause >= self.deadline:
                return problem
            self.stop.wait(pause)
            pause = min(pause * 1.5, 3.0)

    def _is_final(self, seconds: float) -> bool:
        """Whether a key that was refused for so long will stay so: one machine tells for all."""
        if seconds >= self.patience:
            self._refused_for_good.set()
            return True
        return self._refused_for_good.is_set() and not self._opened.is_set()

    def _refused(self, problem: str) -> str:
        if "jump host" in problem:
            return f"{problem} (for {self.patience:g} s now)"
        return (
            f"the machine answers, and refuses the key {self.key} for {self.user}, as for "
            f"{self.patience:g} s now: {problem}. It takes the account's keys (triton key list) "
            "as they were when it last asked for them"
        )

    def _attempt(self, machine: Machine) -> str:
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
        for sign, remark in HOPELESS.items():
            if sign in done.stderr:
                line = next(line for line in lines if sign in line)
                return f"{line}; {remark}" if remark else sign
        if lines and "UNKNOWN port" in lines[-1]:
            # ssh itself has lost its way through another machine, whose ssh said why before
            return f"no way through the jump host: {'; '.join(lines[-3:])}"
        return lines[-1] if lines else f"ssh ended with status {done.returncode}"


def ssh_probe(
    api: Client,
    settings: config.Settings,
    offers: Offers,
    params: Mapping[str, Any],
    machines: Iterable[Machine],
) -> SshProbe:
    """A probe for these machines, reached as the inventory says.

    :param params: the module's options
    :raises UsageError: `ssh_address` or `ssh_jump_host` leads nowhere
    """
    key = ssh.LoginKey.of(api.auth.signer) if api.auth else None
    through = params["ssh_jump_host"] or any(
        (machine.get("tags") or {}).get("tritoncli.ssh.proxy") for machine in machines
    )
    named = addresses.network_names(params["ssh_address"])
    destinations = ssh.Destinations(
        api.list_machines() if through else [],
        {n["id"]: n["name"] for n in offers.networks} if named else {},
        key,
        Path(params["ssh_known_hosts"] or "~/.ssh/known_hosts").expanduser(),
        address=params["ssh_address"],
        jump_host=params["ssh_jump_host"] or None,
        ssh_config=params["ssh_config"] or settings.ssh_config,
        pool_of=offers.pools.of,
    )
    return SshProbe(
        destinations.of,
        params["ssh_user"],
        params["ssh_args"],
        key.name if key else "that ssh has",
        time.monotonic() + params["wait_timeout"],
        params["ssh_refused_timeout"],
    )
