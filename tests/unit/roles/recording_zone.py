"""A zone for the scripts that prepare one: its commands only answer and record."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

ROLES = Path(__file__).resolve().parents[3] / "roles"
SEARCH = """py311-ipyparallel-9.2.0;;Interactive Parallel Computing with IPython
py313-ipyparallel-9.2.0;;Interactive Parallel Computing with IPython
py311-numpy-2.4.6;;Array processing for numbers, strings, records, and objects
py313-numpy-2.4.6;;Array processing for numbers, strings, records, and objects

=: package is installed and up-to-date
"""
COMMANDS = {
    "svcs": """
file=$FAKE/state
case $* in *ipyparallel-boot*) file=$FAKE/boot_state ;; esac
cat "$file"
""",
    "svcprop": 'echo "$BOOT_LIMIT"',
    "mdata-put": 'echo "mdata-put $*" >>"$FAKE/metadata"',
    "pkgin": """
echo "pkgin $*" >>"$FAKE/calls"
case "$*" in
*search*) cat "$FAKE/search" ;;
*update*) [ ! -e "$FAKE/offered" ] || mv "$FAKE/offered" "$FAKE/search" ;;
*install*)
    if [ -e "$FAKE/down" ]; then
        mv "$FAKE/down" "$FAKE/up"
        echo "pkgin: Could not fetch https://x/All/pkg_summary.gz: Host not found" >&2
        exit 1
    fi
    shift 2
    for name; do
        echo "${name%%[<>=]*}-1.0 a package" >>"$FAKE/installed"
        case $name in python3*) ln -s /bin/sh "$FAKE/bin/python3.${name#python3}" ;; esac
    done ;;
esac""",
    "pkg_info": """
[ "$1" = -qe ] || exec cat "$FAKE/installed"
case $2 in *'>='*) grep -q "^${2%%>=*}-" "$FAKE/installed" ;; *) false ;; esac""",
}


class RecordingZone:
    """A directory with the commands of a zone."""

    def __init__(self, root: Path, shell: str) -> None:
        self.root, self.shell = root, shell
        (root / "bin").mkdir()
        for name, text in COMMANDS.items():
            (root / name).write_text(f"#!/bin/sh\n{text}\n")
            (root / name).chmod(0o755)
        self.write(state="ON   -\n", search=SEARCH, installed="bash-5.2 a shell\n", calls="")
        self.link = root / "libexec" / "python3"
        # seconds more are waited than SMF gives the service
        self.boot_limit = "-14"

    def write(self, **files: str) -> None:
        for name, text in files.items():
            (self.root / name).write_text(text)

    def run(self, script: Path, **values: str) -> subprocess.CompletedProcess[str]:
        text = script.read_text().replace("PATH=/usr/sbin", f"PATH={self.root}:/usr/sbin")
        text = text.replace("/opt/local/bin/python", f"{self.root}/bin/python")
        return subprocess.run(
            [self.shell, "-s"],
            input="".join(f"{k}={shlex.quote(v)}\n" for k, v in values.items()) + text,
            env={
                "FAKE": str(self.root),
                "HOME": str(self.root),
                "PATH": os.environ["PATH"],
                "BOOT_LIMIT": self.boot_limit,
            },
            capture_output=True,
            text=True,
            timeout=30,
        )

    def bootstrap(self, **values: str) -> subprocess.CompletedProcess[str]:
        defaults = {
            "boot_timeout": "1",
            "python": "",
            "packages": "pyNN-ipyparallel pyNN-numpy",
            "unmet": (ROLES / "pkgsrc/files/unmet.py").read_text(),
            "link": str(self.link),
            "boot_service": "svc:/pkgsrc/ipyparallel-boot:default",
            "boot_manifest": str(self.root / "boot.xml"),
            "check_mode": "",
        }
        return self.run(ROLES / "pkgsrc" / "files" / "bootstrap.sh", **(defaults | values))

    def interpreter(self, version: str) -> Path:
        return self.root / f"bin/python{version}"

    def calls(self) -> list[str]:
        return (self.root / "calls").read_text().splitlines()
