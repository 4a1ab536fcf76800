"""Whether this computer has what connections to machines need."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from importlib import metadata
from typing import Any

from ..client import Client
from ..ssh import LoginKey
from .finding import Finding

OLDEST = (7, 6)
"""The first OpenSSH with StrictHostKeyChecking=accept-new (its release notes)."""


def ssh(api: Client | None, access: Mapping[str, Any]) -> Finding:
    """The ssh command, and which key and which way it takes to machines.

    :param api: a client that was accepted; None while the key is not known
    :param access: the inventory's `jump_host`, `ssh_config` and the like
    """
    says = version()
    if not says:
        todo = "there is no ssh command here: apt-get install openssh-client"
        return Finding("ssh", "problem", todo)
    number = re.match(r"OpenSSH_(\d+)\.(\d+)", says)
    if number and (int(number[1]), int(number[2])) < OLDEST:
        return Finding("ssh", "problem", f"{says} is too old: 7.6 or newer is needed")
    if api is not None and api.auth is not None:
        says += f", offers {LoginKey.of(api.auth.signer).name}"
    for name, words in (("jump_host", "by way of"), ("ssh_config", "with the file")):
        says += f", {words} {access[name]}" if access.get(name) else ""
    return Finding("ssh", "ok", says)


def version() -> str:
    """What ``ssh -V`` says; empty when there is none."""
    try:
        done = subprocess.run(
            ["ssh", "-V"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return (done.stderr or done.stdout).partition(",")[0].strip()


def ipyparallel() -> Finding:
    """The package that clients need here."""
    try:
        return Finding("ipyparallel", "ok", f"{metadata.version('ipyparallel')} here")
    except metadata.PackageNotFoundError:
        return Finding("ipyparallel", "problem", "it is not installed here: make setup")
