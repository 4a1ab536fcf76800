"""Action plugin: find out which data center is configured, and start the embedded one if none is.

    - data_center:
        start: always      # or "existing": only start an embedded one that was made before
      register: here       # name, url, account, source, started, running, time

It runs on the machine of the user.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from smartdc.config import Settings, resolve, state_directory
from smartdc.errors import ConfigError, NoDataCenter


def answers(url: str) -> bool:
    """Whether anything listens at the URL."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname, port), 5).close()
    except OSError:
        return False
    return True


class ActionModule(ActionBase):
    """See the module's documentation."""

    _VALID_ARGS = frozenset(("start",))
    _supports_check_mode = True

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        result.update(time=time.time(), changed=False, started=False)
        if not shutil.which("ssh"):
            raise AnsibleActionFail(
                "There is no ssh command here. Install it: apt-get install openssh-client"
            )
        # ssh commands that share Ansible's connections may run before Ansible makes this directory
        Path("~/.ansible/cp").expanduser().mkdir(mode=0o700, parents=True, exist_ok=True)
        settings = self._settings()
        if settings is None or (settings.embedded and not answers(settings.url)):
            if not self._may_start():
                return {**result, "running": False}
            if self._task.check_mode:
                return {**result, "running": False, "changed": True}
            self._start()
            result.update(changed=True, started=True)
            settings = self._settings()
            if settings is None:
                raise AnsibleActionFail(
                    "The embedded data center started, but left no datacenter.json behind."
                )
        if not settings.embedded:
            self._display.display(
                f"Data center {settings.name} ({settings.url}), account {settings.account}: its "
                "machines cost money until teardown.yml has said 'none left'."
            )
        return {
            **result,
            "running": True,
            **{
                name: getattr(settings, name)
                for name in ("name", "url", "account", "source", "ssh_config")
            },
        }

    def _settings(self) -> Settings | None:
        try:
            return resolve()
        except NoDataCenter:
            return None
        except ConfigError as error:
            raise AnsibleActionFail(str(error)) from error

    def _may_start(self) -> bool:
        return self._task.args.get("start", "always") == "always" or state_directory().is_dir()

    def _start(self) -> None:
        """Start the embedded data center, passing its progress on."""
        self._display.display("No data center is configured: starting the embedded one.")
        command = [sys.executable, "-m", "localdc", "start"]
        with subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
        ) as process:
            lines = []
            for line in process.stdout or ():
                lines.append(line.rstrip())
                self._display.display("  " + lines[-1])
        if process.returncode != 0:
            advice = "See what is missing with: python -m localdc doctor"
            raise AnsibleActionFail(
                "\n".join(["The embedded data center did not start.", *lines[-15:], advice])
            )
