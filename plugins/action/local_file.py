"""Action plugin: a file on the user's machine, as a whole, without a process of its own.

    - local_file:
        path: /somewhere/engine-boot.sh
        content: "{{ text }}"
        mode: "0700"
    - local_file:
        path: /somewhere        # a directory with all that is in it, too
        state: absent

The directory of the file is made, for its owner alone, where it is missing. The modules copy and
file do more, each for a second and more of a run that takes a few.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """See the module's documentation."""

    _VALID_ARGS = frozenset(("path", "content", "mode", "state"))
    _supports_check_mode = True

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        _, options = self.validate_argument_spec(
            {
                "path": {"type": "path", "required": True},
                "content": {"type": "str"},
                "mode": {"type": "str", "default": "0600"},
                "state": {"choices": ["present", "absent"], "default": "present"},
            },
            required_if=[("state", "present", ("content",))],
        )
        path = Path(options["path"])
        try:
            change = (
                self._absent(path)
                if options["state"] == "absent"
                else self._present(path, options["content"].encode(), int(options["mode"], 8))
            )
        except (OSError, ValueError) as error:
            raise AnsibleActionFail(f"{path}: {error}") from error
        return {**result, "path": str(path), **change}

    def _present(self, path: Path, content: bytes, mode: int) -> dict[str, Any]:
        before = path.read_bytes() if path.exists() else None
        same_mode = before is not None and path.stat().st_mode & 0o7777 == mode
        if before == content and same_mode:
            return {"changed": False}
        if not self._task.check_mode:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace(path, content, mode)
        texts = {"before": (before or b"").decode(errors="replace"), "after": content.decode()}
        headers = {"before_header": str(path), "after_header": f"{path} ({mode:04o})"}
        return {"changed": True, "diff": {**texts, **headers}}

    def _absent(self, path: Path) -> dict[str, Any]:
        if not os.path.lexists(path):
            return {"changed": False}
        if not self._task.check_mode:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        return {"changed": True, "diff": {"before": f"{path}\n", "after": ""}}


def replace(path: Path, content: bytes, mode: int) -> None:
    """Write the file in one step, so that no reader finds half of it."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(content)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
