# ruff: noqa: E402 - ansible-doc wants the documentation before the imports
"""Callback plugin: when site.yml fails, what the machines say of it is kept, and its kind told."""

from __future__ import annotations

DOCUMENTATION = r"""
name: cluster_evidence
type: notification
short_description: What the machines of a cluster say when site.yml fails
description:
  - When C(site.yml) fails, connects to all machines concerned at the same time, and writes their
    service states, logs, processes and packages to C(.cluster/CLUSTER/failure-TIME/), one file for
    each. Changes nothing on them, and deletes none.
  - Ends with the number of machines that exist, that they cost money, and the command that deletes
    them.
  - Tells by machine what went wrong. Not provisioned, boot script failed, packages failed, service
    in maintenance, engine running but not registered, registered but a path blocked.
  - Does nothing in check mode, and nothing for other playbooks.
version_added: "1.0.0"
author: The sdc-ipython-cluster contributors
"""

import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ansible.context as context
from ansible.plugins.callback import CallbackBase
from ansible.template import Templar

from smartdc.config import resolve
from smartdc.errors import SmartDCError
from smartdc.ssh import Destination, flags

EXECUTE = "svc:/smartdc/mdata:execute"
BOOT = "svc:/pkgsrc/ipyparallel-boot:default"
SERVICE = "svc:/pkgsrc/ipyparallel:"
LIMIT = 30
TAIL = 8
SHOWN = 20
FINE = ""
# svc.startd's words for a wait service do not tell a signal; Python's do (faulthandler).
SIGNAL = re.compile(
    r"Fatal Python error: (Segmentation fault|Aborted|Bus error|Floating-point exception"
    r"|Illegal instruction)|(dumped core)|(?:due to|fatal) signal (\w+)"
)
SIGNALS = {
    "Segmentation fault": "SEGV",
    "Aborted": "ABRT",
    "Bus error": "BUS",
    "Floating-point exception": "FPE",
    "Illegal instruction": "ILL",
}
NO_SPACE = re.compile(r"\[Errno 12\]|[Nn]ot enough space|Cannot allocate memory")
MEMORY = (
    "out of memory: fork reserves as much swap as the process has memory of its own; take a larger "
    "machine_package or see docs/service.md, Memory and processes"
)
NOTHING = "no instance of svc:/pkgsrc/ipyparallel is enabled"


@dataclass
class Failure:
    """The task that failed on a host."""

    role: str
    message: str
    result: Mapping[str, Any]

    @property
    def machines(self) -> list[str]:
        """Names of other machines that the result is about."""
        return [item["machine"] for item in self.result.get("missing") or []]

    def works(self, machine: str, pid: str) -> bool:
        """Whether this process is an engine that was found to compute."""
        engines = self.result.get("engines") or []
        return any(e["machine"] == machine and str(e["pid"]) == pid for e in engines)


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


def log_of(fmri: str, text: Mapping[str, list[str]]) -> list[str]:
    """What a service has logged."""
    name = fmri.removeprefix("svc:/").replace("/", "-")
    return text.get(f"/var/svc/log/{name}.log", [])


def boot_problem(text: Mapping[str, list[str]]) -> str:
    """What is wrong with the boot script, in the words of its log.

    A machine that configures itself goes on in a service of its own.
    """
    known = states(text.get("states", []))
    return next(
        (
            problem
            for fmri in (EXECUTE, BOOT)
            if (fmri != BOOT or fmri in known)
            and (problem := script_problem(fmri, known.get(fmri, ""), log_of(fmri, text)))
        ),
        FINE,
    )


def script_problem(fmri: str, sta: str, log: list[str]) -> str:
    """What is wrong with a service that runs a boot script."""
    if sta == "ON":
        return FINE
    if sta != "MNT":
        return f"boot script has not ended ({fmri} is {sta or 'unknown'}); {tail(log)}"
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


def explained(log: list[str]) -> str:
    """What a log gives away about the end of a process, ready to be appended."""
    text = "\n".join(log)
    found = [match for match in SIGNAL.finditer(text) if any(match.groups())]
    parts = []
    if found:
        how = next(group for group in found[-1].groups() if group)
        parts.append(f"an engine died by a signal ({SIGNALS.get(how, how)}), last of {len(found)}")
    if NO_SPACE.search(text):
        parts.append(MEMORY)
    return "".join(f"; {part}" for part in parts)


def service_problem(name: str, text: Mapping[str, list[str]], failures: Sequence[Failure]) -> str:
    """What is wrong with the services of a machine, given that its boot script is not."""
    problems = []
    enabled = {
        fmri: sta
        for fmri, sta in states(text.get("states", [])).items()
        if fmri.startswith(SERVICE) and sta != "DIS"
    }
    pids = dict(line.split() for line in text.get("start pids", []) if len(line.split()) == 2)
    for fmri, sta in enabled.items():
        log = log_of(fmri, text)
        if sta == "MNT":
            reason = " ".join(" ".join(text.get("svcs -xv", [])).split())
            problems.append(f"{fmri} in maintenance: {reason}; {tail(log)}{explained(log)}")
        elif sta != "ON":
            problems.append(f"{fmri} is {sta}; {tail(log)}{explained(log)}")
        for failure in failures if sta == "ON" else ():
            if name in failure.machines and not failure.works(name, pids.get(fmri, "")):
                problems.append(missing_problem(name, fmri, failure.message, log))
    boot = log_of(BOOT, text)
    warnings = [line.removeprefix("warning: ") for line in boot if line.startswith("warning: ")]
    if problems:
        problems += dict.fromkeys(warnings)
    return "; ".join(problems) if enabled else NOTHING


def missing_problem(name: str, fmri: str, reason: str, log: list[str]) -> str:
    """Why an engine that runs does not count."""
    blocked = [
        part.split("'")[1]
        for part in reason.split("; ")
        if "probe '" in part and re.search(rf" on {re.escape(name)}(,|$)", part)
    ]
    if blocked:
        return f"{fmri} is registered, but blocked for: {', '.join(blocked)}"
    return f"{fmri} is running but not registered; {tail(log)}{explained(log)}"


def refusal(entry: Mapping[str, Any]) -> str:
    """One entry of sdc_machine's failures, in a sentence."""
    action, state = str(entry.get("action")), entry.get("state")
    kind = "not reachable by ssh" if action == "ssh" else f"{action} failed"
    if action in ("create", "provision") or (action == "wait" and state == "provisioning"):
        kind = "not provisioned"
    return f"{entry['name']}: {kind}: {' '.join(str(entry.get('message')).split())}"


def diagnose(name: str, text: str, failures: Mapping[str, Failure]) -> str:
    """What is wrong with a machine, from its evidence and the tasks that failed, by host."""
    if text.startswith("unreachable: "):
        return f"not reachable by ssh ({text.removeprefix('unreachable: ')})"
    parts = sections(text)
    own = failures.get(name)
    message = " ".join(own.message.split()) if own else ""
    boot = boot_problem(parts)
    if boot:
        return boot
    if own and own.role == "pkgsrc":
        return f"packages failed: {message}"
    problem = service_problem(name, parts, list(failures.values()))
    return message if own and not own.machines and problem in (FINE, NOTHING) else problem


def ask(machine: Mapping[str, Any], script: str) -> str:
    """The output of a shell script run on a machine, or "unreachable: " and the reason."""
    if not machine.get("ansible_host"):
        return "unreachable: it has no address"
    destination = Destination(
        machine["ansible_host"], machine.get("ansible_port"), machine["ansible_ssh_common_args"]
    )
    command = destination.command(machine["ansible_user"], flags("LogLevel=ERROR"), ["/bin/sh -s"])
    try:
        done = subprocess.run(
            command,
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


class CallbackModule(CallbackBase):
    """See DOCUMENTATION."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "cluster_evidence"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.wanted = False
        self.failures: dict[str, Failure] = {}

    def v2_playbook_on_start(self, playbook: Any) -> None:
        self.wanted = Path(playbook._file_name).name == "site.yml" and not context.CLIARGS["check"]

    def v2_playbook_on_play_start(self, play: Any) -> None:
        self.play = play

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        if not ignore_errors:
            self._note(result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._note(result)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        failed = {
            host: failure
            for host, failure in self.failures.items()
            if host in stats.failures or host in stats.dark
        }
        if not self.wanted or not failed:
            return
        variables = self._variables("localhost")
        if not variables.get("sdc_cluster_data_center", {}).get("running"):
            return
        found = (variables.get(name) or {} for name in ("cluster_machines", "existing"))
        known: list[str] = next((hosts["all"] for hosts in found if "all" in hosts), [])
        machines = self._suspects(failed, known)
        refused = [
            refusal(entry)
            for failure in failed.values()
            for entry in failure.result.get("failures") or []
        ]
        if machines or refused:
            directory = Path(variables["client_file"]).parent
            directory.mkdir(parents=True, mode=0o700, exist_ok=True)
            directory /= time.strftime("failure-%Y%m%dT%H%M%S")
            directory.mkdir(mode=0o700, exist_ok=True)
            self._report(directory, refused + self._collect(directory, machines, failed))
        self._display.display(bill(variables["cluster"]))

    def _note(self, result: Any) -> None:
        role = result._task._role
        self.failures[result._host.get_name()] = Failure(
            role.get_name() if role else "",
            str(result._result.get("msg") or ""),
            result._result,
        )

    def _suspects(self, failed: Mapping[str, Failure], cluster: list[str]) -> list[str]:
        """The machines to ask: those that failed, those that a result names, and all of a cluster
        whose controller is the only one that site.yml connects to, when that one failed."""
        names = dict.fromkeys(failed)
        for host, failure in failed.items():
            names |= dict.fromkeys(failure.machines)
            tags = self._variables(host).get("sdc_tags") or {}
            if tags.get("bootstrap") == "metadata" and not failure.machines:
                names |= dict.fromkeys(cluster)
        return [name for name in names if name in cluster]

    def _variables(self, host: str) -> dict[str, Any]:
        """Variables of a host, those that are needed here with their templates filled in."""
        manager = self.play.get_variable_manager()
        found = manager.get_vars(play=self.play, host=manager._inventory.get_host(host))
        templar = Templar(loader=self.play.get_loader(), variables=found)
        wanted = ["cluster", "client_file", "sdc_tags"]
        wanted += ["cluster_machines", "existing", "sdc_cluster_data_center"]
        wanted += ["ansible_host", "ansible_port", "ansible_user", "ansible_ssh_common_args"]
        return {name: templar.template(found[name]) for name in wanted if name in found}

    def _collect(
        self, directory: Path, machines: list[str], failed: Mapping[str, Failure]
    ) -> list[str]:
        """Write down what the machines say; returns what is wrong, by machine."""
        reason = "\n".join(f"{host}: {failure.message}" for host, failure in failed.items())
        (directory / "failure.txt").write_text(reason + "\n")
        script = Path(__file__).with_suffix(".sh").read_text()
        asked = [self._variables(name) for name in machines]
        diagnosis = []
        with ThreadPoolExecutor(8) as pool:
            answers = pool.map(lambda machine: ask(machine, script), asked)
            for name, text in zip(machines, answers, strict=True):
                (directory / f"{name}.txt").write_text(text)
                problem = diagnose(name, text, failed)
                if problem:
                    diagnosis.append(f"{name}: {problem}")
        return diagnosis

    def _report(self, directory: Path, diagnosis: list[str]) -> None:
        (directory / "diagnosis.txt").write_text("\n".join(diagnosis) + "\n")
        self._display.banner("WHAT FAILED")
        for line in diagnosis[:SHOWN]:
            self._display.display(line)
        if len(diagnosis) > SHOWN:
            self._display.display(f"and {len(diagnosis) - SHOWN} more")
        self._display.display(
            f"\nWhat the machines say is in {directory}. They were kept; once mended, or with "
            "other values, run the same command again."
        )


def bill(cluster: str) -> str:
    """What a failed run leaves running, what that means, and how to end it."""
    undo = f"ansible-playbook teardown.yml -e cluster={cluster}"
    try:
        settings = resolve()
        with settings.connect() as api:
            machines = api.list_machines(tags={"ipython_cluster": cluster})
    except SmartDCError as error:
        return (
            f"How many machines of cluster {cluster} exist is not known ({error}). "
            f"To delete them: {undo}"
        )
    if not machines:
        return f"No machine of cluster {cluster} exists."
    running = sum(machine.get("state") == "running" for machine in machines)
    cost = "" if settings.embedded else ", and each of them costs money, stopped ones, too"
    return (
        f"{len(machines)} machine(s) of cluster {cluster} exist in data center {settings.name} "
        f"(account {settings.account}), {running} running{cost}. To delete them: {undo}"
    )
