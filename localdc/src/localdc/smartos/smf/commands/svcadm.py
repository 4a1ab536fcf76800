"""svcadm(8): enable, disable, restart, refresh, clear and mark service instances."""

from __future__ import annotations

import sys

from .. import fmri as fmris
from ..door import Door
from ..model import SmfError
from .options import parse
from .usage import Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

USAGE = """\
Usage: svcadm [-S <state>] [-v] [cmd [args ... ]]

\tsvcadm enable [-rst] <service> ...\t- enable and online service(s)
\tsvcadm disable [-c comment] [-st] <service> ...\t- disable and offline service(s)
\tsvcadm restart [-d] <service> ...\t- restart specified service(s)
\tsvcadm refresh <service> ...\t\t- re-read service configuration
\tsvcadm mark [-It] <state> <service> ...\t- set maintenance state
\tsvcadm clear <service> ...\t\t- clear maintenance state
\tsvcadm milestone [-d] <milestone>\t- advance to a service milestone

\tServices can be specified using an FMRI, abbreviation, or fnmatch(7)
\tpattern, as shown in these examples for svc:/network/smtp:sendmail

\tsvcadm <cmd> svc:/network/smtp:sendmail
\tsvcadm <cmd> network/smtp:sendmail
\tsvcadm <cmd> network/*mail
\tsvcadm <cmd> network/smtp
\tsvcadm <cmd> smtp:sendmail
\tsvcadm <cmd> smtp
\tsvcadm <cmd> sendmail"""

# names of the actions by the options of mark
_MARKS = {
    "maintenance": {
        "": "maint_on", "I": "maint_on_immediate", "t": "maint_on_temporary",
        "It": "maint_on_immtemp",
    },
    "degraded": {"": "degraded", "I": "degrade_immediate"},
}  # fmt: skip
EXIT_FATAL, EXIT_SVC_FAILURE, EXIT_DEP_FAILURE = 1, 3, 4


def main(connect: Callable[[], Door], argv: list[str]) -> int:
    """Run svcadm; returns the exit status."""
    options, words = parse(argv, "vS:", USAGE)
    if not words:
        raise Usage(USAGE)
    verb, rest = words[0], words[1:]
    values = dict(options)
    command = Svcadm(connect, "v" in values, values.get("S"))
    if verb in ("enable", "disable"):
        return command.switch(verb, rest)
    if verb in ("restart", "refresh", "clear"):
        return command.act(verb, rest)
    if verb == "mark":
        return command.mark(rest)
    if verb == "milestone":
        raise SmfError("milestones cannot be changed in this zone; use enable and disable")
    raise Usage(USAGE)


class Svcadm:
    """One run of the command."""

    def __init__(self, connect: Callable[[], Door], verbose: bool, state: str | None) -> None:
        self.verbose = verbose
        # stands for the operands: every instance that is in this state
        self.state = state
        self.failed = False
        self.door = connect()
        self.names = self.door.call("fmris")

    # --- verbs

    def switch(self, verb: str, argv: list[str]) -> int:
        """enable and disable, with -s waiting for the result."""
        options, words = parse(argv, "rst" if verb == "enable" else "stc:", USAGE)
        flags = {letter for letter, _value in options}
        comment = next((value for letter, value in options if letter == "c"), None)
        targets = self.resolve(words)
        if "r" in flags:
            targets = self._with_dependencies(targets)
        temporary = "t" in flags
        how = "temporarily " if temporary else ""
        done = []
        for fmri in targets:
            if self._send(fmri, verb, temporary=temporary, comment=comment):
                done.append(fmri)
                self._say(f"{fmri} {how}{verb}d.")
        status = EXIT_FATAL if self.failed else 0
        if "s" in flags and not self.failed:
            for fmri in done:
                status = max(status, self._wait(fmri, verb == "enable"))
        return status

    def act(self, verb: str, argv: list[str]) -> int:
        """restart, refresh and clear."""
        # no other options here: "restart -s" looks for an instance called "-s", as on illumos
        if verb == "restart" and argv[:1] == ["-d"]:
            raise SmfError("restart -d (dump core) is not available in this zone")
        if verb == "clear" and self.state not in (None, *_MARKS):
            raise SmfError("State must be 'maintenance' or 'degraded'")
        labels = {"restart": "restart", "refresh": "refresh", "clear": "maint_off"}
        for fmri in self.resolve(argv):
            if self._send(fmri, verb):
                self._say(f"Action {labels[verb]} set for {fmri}.")
        return EXIT_FATAL if self.failed else 0

    def mark(self, argv: list[str]) -> int:
        """mark maintenance or degraded."""
        options, words = parse(argv, "It", USAGE)
        flags = {letter for letter, _value in options}
        if not words or words[0] not in _MARKS:
            raise Usage(USAGE)
        state = words[0]
        if state == "degraded" and "t" in flags:
            raise Usage("svcadm: -t may not be used with degraded.")
        label = _MARKS[state]["".join(sorted(flags))]
        for fmri in self.resolve(words[1:]):
            if self._send(fmri, state, immediate="I" in flags):
                self._say(f"Action {label} set for {fmri}.")
        return EXIT_FATAL if self.failed else 0

    # --- operands

    def resolve(self, words: list[str]) -> list[str]:
        """The instances that the operands name; what names none or too many is reported."""
        if bool(words) == (self.state is not None):
            raise Usage(USAGE)
        if self.state is not None:
            rows = self.door.call("list")
            return [row["fmri"] for row in rows if row.get("state") == self.state]
        found: list[str] = []
        for word in words:
            hits = self._one(word)
            found.extend(fmri for fmri in hits if fmri not in found)
        return found

    def _one(self, word: str) -> list[str]:
        instances = self.names["instances"]
        hits = fmris.select(word, instances)
        if not hits:
            services = fmris.select(word, self.names["services"])
            if services and word.startswith("svc:"):
                return self._fail(f"FMRI {word} does not specify an instance.")
            return self._fail(f"Pattern '{word}' doesn't match any instances")
        if len(hits) > 1 and not fmris.is_glob(word):
            lines = "".join(f"\n\t{fmri}" for fmri in hits)
            if word.startswith("svc:"):
                return self._fail(f"Operation on service {word} is ambiguous; instance"
                                  f" specification needed.{lines}")  # fmt: skip
            return self._fail(f"Partial FMRI '{word}' matches multiple instances:{lines}")
        return hits

    def _fail(self, message: str) -> list[str]:
        sys.stderr.write(f"svcadm: {message}\n")
        self.failed = True
        return []

    def _with_dependencies(self, targets: list[str]) -> list[str]:
        """enable -r: the required dependencies first (require_all and require_any)."""
        rows = {row["fmri"]: row for row in self.door.call("list", depends=True)}
        ordered: list[str] = []

        def visit(fmri: str) -> None:
            if fmri in ordered or fmri not in rows:
                return
            seen.add(fmri)
            for grouping, kind, entities in rows[fmri]["depends"]:
                if kind != "service" or grouping not in ("require_all", "require_any"):
                    continue
                for entity in entities:
                    hits = [name for name in rows if fmris.matches(entity, name)]
                    if any(rows[name]["enabled"] for name in hits):
                        hits = [name for name in hits if rows[name]["enabled"]]
                    for name in hits[:1]:
                        if name not in seen:
                            visit(name)
                    if hits and grouping == "require_any":
                        break
            ordered.append(fmri)

        seen: set[str] = set()
        for fmri in targets:
            visit(fmri)
        return ordered

    # --- requests

    def _send(self, fmri: str, verb: str, **arguments: object) -> bool:
        try:
            self.door.call("action", fmri=fmri, verb=verb, **arguments)
        except SmfError as error:
            text = str(error)
            if error.code == "permission":
                text = f"{fmri}: {text}"
            self._fail(text)
            return False
        return True

    def _say(self, message: str) -> None:
        if self.verbose:
            sys.stdout.write(message + "\n")

    def _wait(self, fmri: str, enable: bool) -> int:
        """Wait until an instance is where it should be or cannot get there."""
        while True:
            try:
                generation = self.door.call("get", fmri=fmri, group="restarter")["generation"]
                detail = self.door.call("detail", fmri=fmri)
                status = _verdict(fmri, enable, detail)
                if status is not None:
                    return status
                seen = {key: detail.get(key) for key in ("asked", "satisfied")}
                self.door.call("watch", fmri=fmri, generation=generation, **seen)
            except SmfError as error:
                if error.code != "not-found":
                    raise
                sys.stderr.write(f'svcadm: Instance "{fmri}" was deleted.\n')
                return EXIT_SVC_FAILURE


def _verdict(fmri: str, enable: bool, detail: dict[str, object]) -> int | None:
    """Exit status for a waited-for instance, None while it is on its way."""
    state, following = detail.get("state"), detail.get("next")
    wanted = detail.get("override")
    if wanted is None:
        wanted = detail.get("enabled")
    if detail.get("asked"):
        return None
    if state is None:
        sys.stderr.write(
            f'svcadm: Instance "{fmri}" is misconfigured (lacks "restarter" property group).\n'
        )
        return EXIT_SVC_FAILURE
    moving = following != "none"
    if state == "maintenance" and not moving:
        sys.stderr.write(f'svcadm: Instance "{fmri}" is in maintenance state.\n')
        return EXIT_SVC_FAILURE
    if not enable:
        if wanted:
            sys.stderr.write(f'svcadm: Instance "{fmri}" has been enabled.\n')
            return EXIT_SVC_FAILURE
        return 0 if state == "disabled" and not moving else None
    if not wanted:
        sys.stderr.write(f'svcadm: Instance "{fmri}" has been disabled.\n')
        return EXIT_SVC_FAILURE
    if state in ("online", "degraded") and not moving:
        return 0
    if state == "offline" and not moving and detail.get("satisfied") == -1:
        sys.stderr.write(f'svcadm: Instance "{fmri}" has unsatisfied dependencies.\n')
        return EXIT_DEP_FAILURE
    return None
