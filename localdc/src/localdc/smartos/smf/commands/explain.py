"""``svcs -x``: which services are the cause that others do not run, and why (explain.c of svcs)."""

from __future__ import annotations

import os
import sys
import time

from .. import fmri as fmris
from ..model import UP
from .svcs_run import Svcs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Row = dict[str, Any]

_MESSAGES = "http://illumos.org/msg/"
_MANPATH = "/usr/share/man"
_WIDTH = 80
_MAINTENANCE = {
    # auxiliary state: (reason, knowledge article, summary for those who wait for the service)
    "administrative_request": (
        "Maintenance requested by an administrator.", "SMF-8000-63",
        # the word is misspelt in illumos too
        "was taken down for maintenace by an administrator.",
    ),
    "dependency_cycle": (
        "Completes a dependency cycle.", "SMF-8000-HP", "completed a dependency cycle.",
    ),
    "invalid_dependency": (
        "Has invalid dependency.", "SMF-8000-JA", "has an invalid dependency.",
    ),
    "restarting_too_quickly": (
        "Restarting too quickly.", "SMF-8000-L5", "was restarting too quickly.",
    ),
    "fault_threshold_reached": ("", "", "is not running because a method failed repeatedly."),
    "method_failed": ("", "", "is not running because a method failed."),
    "none": ("", "SMF-8000-9C", "is not running for an unknown reason."),
}  # fmt: skip
_EXITS = {95: "$SMF_EXIT_ERR_FATAL", 96: "$SMF_EXIT_ERR_CONFIG"}


def main(command: Svcs, words: list[str]) -> int:
    """Explain the operands, or every service that is the cause of trouble."""
    rows = {row["fmri"]: row for row in command.door.call("list", depends=True)}
    for fmri in [fmri for fmri, row in rows.items() if row.get("state") is None]:
        if rows.pop(fmri)["enabled"] is None:
            sys.stderr.write(f'{fmri} has no "restarter" property group; ignoring.\n')
    analysis = Analysis(rows)
    if words:
        names = command.door.call("fmris")["instances"]
        chosen = [fmri for fmri in command.pick(words, names) if fmri in rows]
    else:
        chosen = sorted(analysis.culprits, key=lambda fmri: -len(analysis.impact(fmri)))
    verbose = "v" in command.flags
    blocks = []
    for fmri in chosen:
        detail = command.door.call("detail", fmri=fmri)
        blocks.append("".join(line + "\n" for line in _block(detail, analysis, verbose)))
    sys.stdout.write("\n".join(blocks))
    return 1 if command.failed else 0


class Analysis:
    """Causes and effects among all instances."""

    def __init__(self, rows: dict[str, Row]) -> None:
        self.rows = rows
        # the services to report without operands, in the order in which they are found
        self.culprits: list[str] = []
        self.absent: dict[str, list[str]] = {}
        # for an instance, its causes and by which of its dependencies each one comes
        self.causes: dict[str, dict[str, str]] = {}
        self._waiting: dict[str, list[str]] = {}
        self._active: set[str] = set()
        for fmri in rows:
            self._determine(fmri)

    def up(self, fmri: str) -> bool:
        """Is the instance running?"""
        return self.rows[fmri]["state"] in UP

    def enabled(self, fmri: str) -> bool:
        """Should it run?"""
        row = self.rows[fmri]
        return bool(row["enabled"] if row["override"] is None else row["override"])

    def temporary(self, fmri: str) -> bool:
        """Is that a temporary decision?"""
        row = self.rows[fmri]
        return row["override"] is not None and row["override"] != row["enabled"]

    def _culprit(self, fmri: str) -> None:
        if fmri not in self.culprits:
            self.culprits.append(fmri)

    def _determine(self, fmri: str) -> bool:
        """Find the causes of one instance; False where it is part of a cycle."""
        if fmri in self._active:
            sys.stderr.write(f"Dependency cycle detected:\n  {fmri}\n")
            return False
        if fmri in self.causes:
            return True
        own = self.causes[fmri] = {}
        row = self.rows[fmri]
        self.absent[fmri] = []
        if row["state"] != "offline" or row["next"] != "none":
            own[fmri] = ""
            silent = self.up(fmri) or row["state"] == "uninitialized"
            if not silent and (row["state"] != "disabled" or self.enabled(fmri)):
                self._culprit(fmri)
            return True
        self._active.add(fmri)
        for grouping, kind, entities in row["depends"]:
            if kind == "path":
                self.absent[fmri] += _bad_files(grouping, entities)
            else:
                for target in self._blocking(fmri, grouping, entities):
                    self._add(fmri, target)
        if not own:
            own[fmri] = ""
            self._culprit(fmri)
        self._active.discard(fmri)
        return True

    def _add(self, fmri: str, source: str) -> None:
        if not self._determine(source):
            return
        users = self._waiting.setdefault(source, [])
        if fmri not in users:
            users.append(fmri)
        for cause in self.causes[source]:
            self.causes[fmri].setdefault(cause, source)
            self._culprit(cause)

    def _blocking(self, fmri: str, grouping: str, entities: list[str]) -> list[str]:
        """The instances for which a group of dependencies is not satisfied."""
        found: list[str] = []
        missing: list[str] = []
        any_up = False
        for entity in entities:
            targets = [name for name in self.rows if fmris.matches(entity, name)]
            if not targets:
                missing.append(entity)
            running = [name for name in targets if self.up(name)]
            any_up = any_up or bool(running)
            if grouping == "exclude_all":
                found += running
            elif grouping == "optional_all":
                found += [n for n in targets if self.enabled(n) and not self.up(n)
                          and self.rows[n]["state"] != "maintenance"]  # fmt: skip
            elif not running:
                found += targets
        if grouping == "require_any" and any_up:
            return []
        if grouping in ("require_all", "require_any"):
            self.absent[fmri] += missing
        return found

    def impact(self, fmri: str) -> list[str]:
        """Who does not run because of an instance, directly or not."""
        found: list[str] = []
        queue = list(self._waiting.get(fmri, ()))
        while queue:
            name = queue.pop(0)
            if name not in found and name != fmri:
                found.append(name)
                queue += self._waiting.get(name, ())
        return sorted(found)

    def path(self, fmri: str, cause: str) -> list[str]:
        """The chain of dependencies from an instance to one of its causes."""
        steps = [self.causes[fmri][cause]]
        while steps[-1] != cause:
            steps.append(self.causes[steps[-1]][cause])
        return steps


def _bad_files(grouping: str, entities: list[str]) -> list[str]:
    there = [text for text in entities if os.path.exists(fmris.file_of(text))]  # noqa: PTH110
    if grouping == "exclude_all":
        return there
    if grouping == "require_any" and there:
        return []
    return [text for text in entities if text not in there]


def _block(detail: Row, analysis: Analysis, verbose: bool) -> list[str]:
    fmri, row = detail["fmri"], analysis.rows[detail["fmri"]]
    since = time.strftime("%c", time.localtime(row["since"]))
    lines = [f"{fmri} ({detail['name'] or '?'})", f" State: {row['state']} since {since}"]
    lines += _reasons(detail, analysis, verbose)
    for title, section, manpath, uri in detail["documents"]:
        if uri:
            lines.append(f"   See: {uri}")
        elif verbose:
            path = _MANPATH if manpath == ":default" else manpath
            lines.append(f"   See: man -M {path} -s {section} {title}")
        else:
            lines.append(f"   See: {title}({section})")
    if detail["logfile"]:
        lines.append(f"   See: {detail['logfile']}")
    hit = analysis.impact(fmri)
    if not hit:
        lines.append("Impact: None." if analysis.up(fmri)
                     else "Impact: This service is not running.")  # fmt: skip
        return lines
    count = "1 dependent service is" if len(hit) == 1 else f"{len(hit)} dependent services are"
    if not verbose:
        return [*lines, f"Impact: {count} not running.  (Use -v for list.)"]
    return [*lines, f"Impact: {count} not running:", *(f"        {name}" for name in hit)]


def _reasons(detail: Row, analysis: Analysis, verbose: bool) -> list[str]:
    fmri, row = detail["fmri"], analysis.rows[detail["fmri"]]
    state = row["state"]
    if state == "online":
        return []
    if state == "offline" and row["next"] == "none":
        return _dependencies(fmri, analysis, verbose)
    if state == "disabled":
        if analysis.temporary(fmri):
            return _told("Temporarily disabled by an administrator.", "SMF-8000-1S")
        return _told("Disabled by an administrator.", "SMF-8000-05")
    if state == "degraded":
        return _told("Degraded by an administrator.", "SMF-8000-DX")
    if state == "offline":
        if row["next"] == "online":
            return _told("Start method is running.", "SMF-8000-C4")
        return _told(f"Transitioning to state {row['next']}.", "SMF-8000-PH")
    if state == "maintenance":
        return _told(*_maintenance(row["auxiliary"], detail))
    text = f"Restarter {row['restarter']} has not initialized service state."
    return _told(text, "SMF-8000-4D")


def _told(reason: str, article: str) -> list[str]:
    return [f"Reason: {reason}", f"   See: {_MESSAGES}{article}"]


def _maintenance(auxiliary: str, detail: Row) -> tuple[str, str]:
    if auxiliary in ("fault_threshold_reached", "method_failed"):
        repeatedly = auxiliary == "fault_threshold_reached"
        how = _status(int(detail["waitstatus"] or 0))
        if not how:
            return f"Method failed{' repeatedly' if repeatedly else ''}.", "SMF-8000-8Q"
        return f"Start method {'failed repeatedly, last ' if repeatedly else ''}{how}.", (
            "SMF-8000-KS"
        )
    if auxiliary == "none":
        return f"Restarter {detail['restarter']} gave no explanation.", "SMF-8000-9C"
    reason, article, _summary = _MAINTENANCE.get(auxiliary, ("Unknown.", "SMF-8000-AR", ""))
    return reason, article


def _status(status: int) -> str:
    if status == 0:
        return ""
    if os.WIFSIGNALED(status):
        import signal

        number = os.WTERMSIG(status)
        verb = "dumped core on" if os.WCOREDUMP(status) else "died on"
        return f"{verb} {signal.strsignal(number)} ({number})"
    code = os.WEXITSTATUS(status)
    return f"exited with {_EXITS.get(code, f'status {code}')}"


def _dependencies(fmri: str, analysis: Analysis, verbose: bool) -> list[str]:
    causes = [cause for cause in analysis.causes[fmri] if cause != fmri]
    if not causes and not analysis.absent[fmri]:
        return _told("Unknown.", "SMF-8000-AR")
    lines: list[str] = []
    for entity in analysis.absent[fmri]:
        lines += _told(f"Dependency {entity} is absent.", "SMF-8000-E2")
    for cause in causes:
        if analysis.up(cause):
            lines += _told(f"Service {cause} is running.", "SMF-8000-FJ")
        else:
            summary = _summary(cause, analysis)
            told = _told(f"Service {cause} {summary}", "SMF-8000-GE")
            if len(told[0]) > _WIDTH:
                told[:1] = [f"Reason: Service {cause}", f"        {summary}"]
            lines += told
        if verbose:
            lines.append(f"  Path: {fmri}")
            for depth, name in enumerate(analysis.path(fmri, cause), 1):
                lines.append(" " * 8 + "  " * depth + name)
    return lines


def _summary(fmri: str, analysis: Analysis) -> str:
    row = analysis.rows[fmri]
    state = row["state"]
    if state == "disabled":
        return "is temporarily disabled." if analysis.temporary(fmri) else "is disabled."
    if state == "maintenance":
        known = _MAINTENANCE.get(row["auxiliary"])
        return known[2] if known else "requires maintenance."
    if state == "offline":
        if analysis.absent[fmri]:
            return "has missing dependencies."
        return "is starting." if row["next"] == "online" else "is offline."
    return "is uninitialized."
