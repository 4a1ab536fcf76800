"""A zone for the method script: its repository and its Python only record."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

# Prints one property group as svcprop does, or the one property that is asked for.
SVCPROP = """#!/bin/sh
case $2 in
config) cat "$FAKE/config" ;;
restarter/start_pid) cat "$FAKE/start_pid" ;;
restarter/contract) echo 42 ;;
esac
"""
PYTHON = """#!/bin/sh
printf '%s\\n' "$@" >"$FAKE/arguments"
env >"$FAKE/environment"
"""


def escaped(value: str) -> str:
    """A value as svcprop(1) prints it."""
    special = ";&()|^<>\n \t\\\"'`"
    return "".join("\\" + c if c in special else c for c in value) or '""'


class MethodZone:
    """Where the script runs."""

    def __init__(self, root: Path, method: Path, shell: str) -> None:
        self.root, self.method, self.shell = root, method, shell
        self.ipython_dir = root / "ipython"
        self.preexec: Callable[[], None] | None = None
        for name, text in {"svcprop": SVCPROP, "python": PYTHON, "ifconfig": "#!/bin/sh\n"}.items():
            self.command(name, text)
        (root / "engine.py").touch()
        for name in ("heartbeat.py", "next_id.py"):
            (root / name).symlink_to(method.with_name(name))

    def command(self, name: str, text: str) -> None:
        (self.root / name).write_text(text)
        (self.root / name).chmod(0o755)

    def configure(self, **config: str) -> None:
        lines = [f"config/{name} astring {escaped(value)}\n" for name, value in config.items()]
        (self.root / "config").write_text("".join(lines))

    def run(self, *arguments: str, instance: str = "engine") -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": f"{self.root}:{os.environ['PATH']}",
            "FAKE": str(self.root),
            "IPYTHONDIR": str(self.ipython_dir),
            "IPYPARALLEL_PYTHON": str(self.root / "python"),
            "IPYPARALLEL_PROGRAMS": str(self.root),
            "IPYPARALLEL_SMF_INCLUDE": str(self.root / "smf_include.sh"),
            "IPYPARALLEL_REPOSITORY_PATIENCE": "1",
            "SMF_FMRI": f"svc:/pkgsrc/ipyparallel:{instance}",
        }
        return subprocess.run(
            [self.shell, str(self.method), *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=30,
            preexec_fn=self.preexec,
        )

    def arguments(self) -> list[str]:
        return (self.root / "arguments").read_text().splitlines()
