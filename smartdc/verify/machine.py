"""A table of shell commands, run in a machine by one script."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable

from .answers import Answer, Probe

BEGIN, END = "<<probe", "<<status"
_ANSWER = re.compile(rf"^{BEGIN} (.+?)\r?\n(.*?)^{END} (\d+)\r?$", re.MULTILINE | re.DOTALL)


def script(probes: Iterable[Probe], now: int) -> str:
    """A POSIX shell script that runs the commands, each in a shell of its own.

    :param now: seconds since 1970, for `{now}` in commands
    """
    lines = []
    for probe in probes:
        command = shlex.quote(probe["run"].replace("{now}", str(now)))
        lines += [
            f"printf '{BEGIN} %s\\n' {shlex.quote(probe['name'])}",
            f"/bin/sh -c {command} 2>&1",
            f"printf '\\n{END} %s\\n' $?",
        ]
    return "\n".join(lines) + "\n"


def answers(probes: Iterable[Probe], output: str) -> dict[str, Answer]:
    """Each probe's name -> status and output, as the script's output has them."""
    found = {name: (text, int(status)) for name, text, status in _ANSWER.findall(output)}
    return {
        probe["name"]: _answer(probe, *found[probe["name"]])
        if probe["name"] in found
        else {"not asked": "the machine's answers end before it"}
        for probe in probes
    }


def _answer(probe: Probe, text: str, status: int) -> Answer:
    lines = [line.rstrip() for line in text.replace("\r\n", "\n").strip().split("\n")]
    return {"status": status, "output": sorted(lines) if probe.get("sort") else lines}
