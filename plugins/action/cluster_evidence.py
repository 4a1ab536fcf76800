"""Action plugin: collect what the machines of a cluster say of a failure, and tell its kind.

    - cluster_evidence:
        src: evidence.sh                       # run on every machine, in files/
        directory: .cluster/ipython/failure-20260101T120000
        machines: [ipython-engine-001]         # their names in the inventory
        reason: "the cluster is not ready ..."  # how the failure was noticed
        failures: []                           # those of sdc_machine: what was not provisioned
      register: evidence                       # diagnosis: list of "machine: what is wrong"

It runs on the machine of the user, connects to all machines at the same time, and changes
nothing on them.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

EXECUTE = "svc:/smartdc/mdata:execute"
SERVICE = "svc:/pkgsrc/ipyparallel:"
LIMIT = 30
TAIL = 8
FINE = ""


def sections(text: str) -> dict[str, list[str]]:
    """The script's output by heading."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith("== "):
            lines = found.setdefault(line[3:], [])
        else:
            lines.append(line)
    return found


def states(lines: list[str]) -> dict[str, str]:
    """STA by FMRI."""
    words = [line.split() for line in lines]
    return {word[2]: word[0].rstrip("*") for word in words if len(word) == 3}


def boot_problem(sta: str, log: list[str]) -> str:
    """What is wrong with the boot script, in the words of its log."""
    if sta == "ON":
        return FINE
    if sta != "MNT":
        return f"boot script has not ended ({EXECUTE} is {sta or 'unknown'}); {tail(log)}"
    steps = re.findall(r"^boot script failed: step (\S+),", "\n".join(log), re.MULTILINE)
    said = [line.removeprefix("failed: ") for line in log if line.startswith("failed: ")]
    text = "; ".join(said[-TAIL:]) or tail(log)
    if steps and steps[-1] == "packages":
        return f"packages failed: {text}"
    where = f" in step {steps[-1]}" if steps else ""
    return f"boot script failed{where}: {text}"


def tail(log: list[str]) -> str:
    """The end of a log, on one line."""
    lines = [line.strip() for line in log if line.strip()]
    return "log: " + " | ".join(lines[-TAIL:]) if lines else "its log is empty"


def service_problem(name: str, text: Mapping[str, list[str]], reason: str) -> str:
    """What is wrong with the services of a machine, given that its boot script is not."""
    problems = []
    enabled = {
        fmri: sta
        for fmri, sta in states(text.get("states", [])).items()
        if fmri.startswith(SERVICE) and sta != "DIS"
    }
    for fmri, sta in enabled.items():
        log = text.get(f"/var/svc/log/pkgsrc-ipyparallel:{fmri.removeprefix(SERVICE)}.log", [])
        if sta == "MNT":
            explained = " ".join(" ".join(text.get("svcs -xv", [])).split())
            problems.append(f"{fmri} in maintenance: {explained}; {tail(log)}")
        elif sta != "ON":
            problems.append(f"{fmri} is {sta}; {tail(log)}")
        elif f"{name} has 0 of" in reason or re.search(rf"{re.escape(name)} has \d+ of", reason):
            problems.append(missing_problem(name, fmri, reason, log))
    if not enabled:
        return "no instance of svc:/pkgsrc/ipyparallel is enabled"
    return "; ".join(problems)


def missing_problem(name: str, fmri: str, reason: str, log: list[str]) -> str:
    """Why an engine that runs does not count."""
    blocked = [
        part.split("'")[1]
        for part in reason.split("; ")
        if part.strip().startswith("probe '") and re.search(rf" on {re.escape(name)}(,|$)", part)
    ]
    if blocked:
        return f"{fmri} is registered, but blocked for: {', '.join(blocked)}"
    return f"{fmri} is running but not registered; {tail(log)}"


class ActionModule(ActionBase):
    """See the module's documentation."""

    _VALID_ARGS = frozenset(("src", "directory", "machines", "reason", "failures"))
    _supports_check_mode = True

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        arguments = self._task.args
        source = arguments.get("src")
        script = Path(self._find_needle("files", source)).read_text() if source else ""
        directory = Path(arguments["directory"])
        directory.mkdir(parents=True, mode=0o700, exist_ok=True)
        reason = str(arguments.get("reason") or "")
        (directory / "failure.txt").write_text(reason + "\n")
        hosts = (task_vars or {})["hostvars"]
        machines = [{"name": name, **hosts[name]} for name in arguments["machines"]]
        diagnosis = [
            f"{failure['name']}: not provisioned: {failure.get('message')}"
            for failure in arguments.get("failures") or []
        ]
        with ThreadPoolExecutor(8) as pool:
            for machine, text in zip(
                machines, pool.map(lambda m: self._ask(m, script), machines), strict=True
            ):
                (directory / f"{machine['name']}.txt").write_text(text)
                problem = self._problem(machine["name"], text, reason)
                if problem:
                    diagnosis.append(f"{machine['name']}: {problem}")
        (directory / "diagnosis.txt").write_text("\n".join(diagnosis) + "\n")
        return {
            **result,
            "changed": True,
            "diagnosis": diagnosis,
            "directory": str(directory),
            "reason": reason,
        }

    @staticmethod
    def _ask(machine: Mapping[str, Any], script: str) -> str:
        """The script's output, or "unreachable: " and the reason."""
        if not machine.get("ansible_host"):
            return "unreachable: it has no address"
        options = ["-oBatchMode=yes", "-oConnectTimeout=10", "-oLogLevel=ERROR"]
        arguments = shlex.split(machine["ansible_ssh_common_args"])
        command = ["ssh", *arguments, *options, "-l", machine["ansible_user"]]
        try:
            done = subprocess.run(
                [*command, "--", str(machine["ansible_host"]), "/bin/sh -s"],
                input=f"main() {{\n{script}\n}}\nmain </dev/null\n",
                capture_output=True,
                text=True,
                errors="replace",
                timeout=LIMIT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"unreachable: ssh did not finish within {LIMIT} s"
        if done.returncode == 255:
            return f"unreachable: {' '.join(done.stderr.split()[-20:])}"
        return done.stdout

    @staticmethod
    def _problem(name: str, text: str, reason: str) -> str:
        if text.startswith("unreachable: "):
            return f"not reachable by ssh ({text.removeprefix('unreachable: ')})"
        parts = sections(text)
        sta = states(parts.get("states", [])).get(EXECUTE, "")
        log = parts.get("/var/svc/log/smartdc-mdata:execute.log", [])
        return boot_problem(sta, log) or service_problem(name, parts, reason)
