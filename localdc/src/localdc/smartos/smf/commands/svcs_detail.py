"""``svcs -l`` and ``svcs -L``: one service at length, or where its log is."""

# ruff: noqa: PTH123 (pathlib costs start-up time)
from __future__ import annotations

import sys
import time

from .svcs_run import Svcs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Detail = dict[str, Any]


def main(command: Svcs, words: list[str]) -> int:
    """Run the option of `command` that is set; returns the exit status."""
    names = command.door.call("fmris")["instances"]
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
