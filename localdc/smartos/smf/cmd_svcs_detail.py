"""``svcs -l``, ``svcs -L`` and ``svcs -x``: one service at length, and what is wrong with it."""

# ruff: noqa: PTH123 (pathlib costs start-up time)
from __future__ import annotations

import os
import sys
import time

from . import fmri as fmris
from .cmd_svcs import Svcs
from .instance import UP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Detail = dict[str, Any]

_MESSAGES = "http://illumos.org/msg/"
# knowledge article of a reason, as explain.c names it
_ARTICLES = {
    "admin": "SMF-8000-63", "unknown": "SMF-8000-AR", "disabled": "SMF-8000-05",
    "temporary": "SMF-8000-1S", "repeatedly": "SMF-8000-KS", "quickly": "SMF-8000-L5",
    "dependency": "SMF-8000-GE", "file": "SMF-8000-E2", "absent": "SMF-8000-E2",
    "starting": "SMF-8000-C4", "cycle": "SMF-8000-HP", "invalid": "SMF-8000-QD",
}  # fmt: skip
_EXITS = {95: "$SMF_EXIT_ERR_FATAL", 96: "$SMF_EXIT_ERR_CONFIG", 99: "$SMF_EXIT_ERR_NOSMF",
          100: "$SMF_EXIT_ERR_PERM"}  # fmt: skip


def main(command: Svcs, words: list[str]) -> int:
    """Run the option of `command` that is set; returns the exit status."""
    names = command.door.call("fmris")["instances"]
    if "x" in command.flags:
        return _explain_all(command, words, names)
    details = [command.door.call("detail", fmri=fmri) for fmri in command.pick(words, names)]
    if "L" in command.flags:
        for detail in details:
            sys.stdout.write(f"{detail['logfile'] or '-'}\n")
    else:
        sys.stdout.write("\n".join("".join(_detailed(command, d)) for d in details))
    return 1 if command.failed else 0


def _detailed(command: Svcs, detail: Detail) -> list[str]:
    state, override = detail.get("state"), detail["override"]
    enabled = detail["enabled"] if override is None else override
    text = "true" if enabled else "false"
    rows = [("fmri", detail["fmri"])]
    if detail["name"]:
        rows.append(("name", detail["name"]))
    if enabled is not None:
        rows.append(("enabled", text + (" (temporary)" if override is not None else "")))
    if detail["comment"]:
        rows.append(("comment", detail["comment"]))
    if state is not None:
        rows.append(("state", state))
        rows.append(("next_state", detail["next"]))
        stamp = time.strftime("%B %e, %Y at %I:%M:%S %p %Z", time.localtime(detail["since"]))
        rows.append(("state_time", stamp))
    if detail["logfile"]:
        rows.append(("logfile", detail["logfile"]))
    rows.append(("restarter", detail["restarter"]))
    if detail.get("contract"):
        rows.append(("contract_id", str(detail["contract"])))
    for dependency in detail.get("dependencies", ()):
        entities = " ".join(f"{text} ({state})" for text, state in dependency["entities"])
        rows.append(
            ("dependency", f"{dependency['grouping']}/{dependency['restart_on']} {entities}")
        )
    if "p" in command.flags:
        rows += [("process", f"{pid} {_arguments(pid)}") for pid in detail.get("pids", ())]
    return [f"{label:<12} {value}\n" for label, value in rows]


def _arguments(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().replace(b"\0", b" ").decode("utf-8", "replace").strip()
    except OSError:
        return ""


# --- svcs -x


def _explain_all(command: Svcs, words: list[str], names: list[str]) -> int:
    if words:
        chosen = [command.door.call("detail", fmri=fmri) for fmri in command.pick(words, names)]
    else:
        rows = command.door.call("list")
        broken = [row["fmri"] for row in rows if _wanted(row) and row.get("state") not in UP]
        chosen = [command.door.call("detail", fmri=fmri) for fmri in broken]
        # a service that waits for one that is broken itself shows as the impact of that one
        chosen = [d for d in chosen if not _blockers(d, set(broken))]
    states = {row["fmri"]: row for row in command.door.call("list", depends=True)}
    blocks = [_block(command, detail, states) for detail in chosen]
    sys.stdout.write("\n".join(blocks))
    return 1 if command.failed else 0


def _wanted(row: Detail) -> bool:
    return bool(row["enabled"] if row["override"] is None else row["override"])


def _blockers(detail: Detail, broken: set[str]) -> set[str]:
    found: set[str] = set()
    if detail.get("state") != "offline":
        return found
    for dependency in detail.get("dependencies", ()):
        if dependency["satisfied"] or dependency["kind"] != "service":
            continue
        for text, _state in dependency["entities"]:
            found |= {name for name in broken if fmris.matches(text, name)}
    return found - {detail["fmri"]}


def _block(command: Svcs, detail: Detail, states: dict[str, Detail]) -> str:
    name = f" ({detail['name']})" if detail["name"] else " (?)"
    state = detail.get("state") or "uninitialized"
    since = time.strftime("%c", time.localtime(detail.get("since") or time.time()))
    article, reason = _reason(detail)
    lines = [f"{detail['fmri']}{name}", f" State: {state} since {since}"]
    if reason:
        lines.append(f"Reason: {reason}")
        lines.append(f"   See: {_MESSAGES}{_ARTICLES[article]}")
    for manpath, section, title in detail["manuals"]:
        where = "" if manpath == ":default" else f" -M {manpath}"
        lines.append(f"   See: man{where} -s {section} {title}")
    if detail["logfile"]:
        lines.append(f"   See: {detail['logfile']}")
    if state in UP:
        return "\n".join([*lines, "Impact: None."]) + "\n"
    hit = _impacted(detail["fmri"], states)
    if not hit:
        lines.append("Impact: This service is not running.")
    elif "v" in command.flags:
        lines.append(f"Impact: {len(hit)} dependent service{'s' * (len(hit) > 1)}"
                     f" {'are' if len(hit) > 1 else 'is'} not running:")  # fmt: skip
        lines += [f"        {fmri}" for fmri in hit]
    else:
        lines.append(f"Impact: {len(hit)} dependent service{'s' * (len(hit) > 1)}"
                     f" {'are' if len(hit) > 1 else 'is'} not running."
                     "  (Use -v for list.)")  # fmt: skip
    return "\n".join(lines) + "\n"


def _impacted(fmri: str, states: dict[str, Detail]) -> list[str]:
    """Enabled instances that cannot run because `fmri` does not, directly or not."""
    found: list[str] = []
    queue = [fmri]
    while queue:
        source = queue.pop()
        for name, row in states.items():
            if name in found or name == fmri or not _wanted(row) or row.get("state") in UP:
                continue
            if any(grouping in ("require_all", "require_any") and fmris.matches(entity, source)
                   for grouping, _kind, entities in row["depends"]
                   for entity in entities if entity.startswith("svc:")):  # fmt: skip
                found.append(name)
                queue.append(name)
    return sorted(found)


def _reason(detail: Detail) -> tuple[str, str]:
    state, auxiliary = detail.get("state"), detail.get("auxiliary", "")
    if state in UP:
        return ("admin", "Degraded by an administrator.") if state == "degraded" else ("", "")
    if state == "disabled":
        if detail["override"] is not None:
            return "temporary", "Temporarily disabled by an administrator."
        return "disabled", "Disabled by an administrator."
    if state == "maintenance":
        return _maintenance(auxiliary, detail.get("waitstatus"))
    if state == "offline":
        if detail["next"] != "none":
            return "starting", "Start method is running."
        return _dependency(detail)
    return "unknown", "Unknown."


def _maintenance(auxiliary: str, status: str | None) -> tuple[str, str]:
    if auxiliary == "administrative_request":
        return "admin", "Maintenance requested by an administrator."
    if auxiliary == "restarting_too_quickly":
        return "quickly", "Restarting too quickly."
    if auxiliary == "dependency_cycle":
        return "cycle", "Dependency cycle."
    if auxiliary == "invalid_dependency":
        return "invalid", "Has an invalid dependency."
    how = _status(int(status)) if status else ""
    if auxiliary == "fault_threshold_reached":
        if not how:
            return "repeatedly", "Method failed repeatedly."
        return "repeatedly", f"Start method failed repeatedly, last {how}."
    if how:
        return "repeatedly", f"Start method {how}."
    return "repeatedly", "Method failed."


def _status(status: int) -> str:
    if os.WIFSIGNALED(status):
        import signal

        number = os.WTERMSIG(status)
        return f"died on {signal.strsignal(number)} ({number})"
    code = os.WEXITSTATUS(status)
    if code == 0:
        return ""
    return f"exited with {_EXITS.get(code, f'status {code}')}"


def _dependency(detail: Detail) -> tuple[str, str]:
    for dependency in detail.get("dependencies", ()):
        if dependency["satisfied"]:
            continue
        for text, state in dependency["entities"]:
            if state in UP and dependency["grouping"] != "exclude_all":
                continue
            if dependency["kind"] == "path":
                return "file", f"Dependency {text} is {state}."
            if dependency["grouping"] == "require_any":
                return "dependency", "No dependency of a require_any group is running."
            if state == "absent":
                return "absent", f"Dependency {text} is absent."
            return "dependency", f"Service {text} is {_running(state)}."
    return "unknown", "Unknown."


def _running(state: str) -> str:
    return {
        "disabled": "disabled", "maintenance": "in maintenance", "offline": "not running",
        "online": "running", "degraded": "running", "multiple": "not running",
    }.get(state, "not running because it is " + state)  # fmt: skip
