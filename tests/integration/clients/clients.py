"""Running `triton` and `sdc-*` as a user's shell does."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

from ..localdc.center import Center

SECONDS = 40


class Refused(AssertionError):
    """A command failed; `code` is its exit status, the message what it said."""

    def __init__(self, command: str, done: subprocess.CompletedProcess[str]) -> None:
        super().__init__(f"{command}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        self.code = done.returncode
        self.said = done.stdout + done.stderr


class Clients:
    """Both command lines, in the environment that `localdc env` makes."""

    def __init__(self, center: Center, packages: Path, home: Path) -> None:
        self.center = center
        self.packages = packages
        self.home = home
        kept = ("SDC_", "TRITON_", "SSH_", "LOCALDC_")
        clean = {k: v for k, v in os.environ.items() if not k.startswith(kept)}
        localdc = shlex.join(center.command("env"))
        done = subprocess.run(
            ["sh", "-c", f'eval "$({localdc})" && env -0'],
            env={**center.environment(), **clean, "HOME": str(home)},
            capture_output=True,
            text=True,
            check=True,
        )
        pairs = (tuple(entry.split("=", 1)) for entry in done.stdout.split("\0") if entry)
        self.environment: dict[str, str] = dict(pairs)

    def run(self, *command: str, stdin: str | None = None) -> str:
        """The standard output of a command; raises Refused."""
        done = subprocess.run(
            command,
            env=self.environment,
            cwd=self.home,
            capture_output=True,
            text=True,
            input=stdin if stdin is not None else "",
            timeout=SECONDS,
            check=False,
        )
        if done.returncode:
            raise Refused(shlex.join(command), done)
        return done.stdout

    def triton(self, line: str, *more: str) -> str:
        """`line` is split as a shell would; `more` is passed as it is."""
        program = str(self.packages / ".bin" / "triton")
        return self.run(program, *shlex.split(line), *more)

    def json(self, line: str, *more: str) -> Any:
        """As `triton`, for commands that print one JSON object or a line for each."""
        text = self.triton(line, *more)
        try:
            return json.loads(text)
        except ValueError:
            return [json.loads(entry) for entry in text.splitlines()]

    def rows(self, line: str, *more: str) -> list[Any]:
        """As `json`, always a list."""
        text = self.triton(line, *more)
        return [json.loads(entry) for entry in text.splitlines()]

    def sdc(self, name: str, *arguments: str) -> Any:
        """`sdc-NAME`; what it prints, from JSON; None when it prints nothing."""
        program = str(self.packages / "smartdc" / "bin" / f"sdc-{name}")
        text = self.run("node", program, *arguments)
        try:
            return json.loads(text)
        except ValueError:
            return text.strip() or None

    def refused(self, line: str, *more: str, code: int = 1) -> str:
        """What `triton` says to a command that must fail with this status."""
        try:
            said = self.triton(line, *more)
        except Refused as refusal:
            assert refusal.code == code, refusal
            return refusal.said
        raise AssertionError(f"{line} was not refused: {said}")

    def create(self, name: str, options: str = "") -> str:
        """A machine that runs; its id."""
        said = self.triton(f"inst create -w -n {name} {options} base-64-lts sample-512M")
        found = re.search(r"Created instance \S+ \(([0-9a-f-]{36})\)", said)
        assert found, said
        return found[1]

    def ssh(self, name: str, command: str) -> str:
        """The output of a command in a machine, by `triton ssh`."""
        return self.triton("ssh", name, command).strip()
