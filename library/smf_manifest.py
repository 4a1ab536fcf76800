#!/usr/bin/python
# ruff: noqa: E402 - ansible-doc wants the documentation before the imports
"""Ansible module: an SMF service manifest and its method scripts, laid down and imported."""

from __future__ import annotations

DOCUMENTATION = r"""
module: smf_manifest
short_description: Import a service manifest into SMF
description:
  - Lays down a service manifest together with its method scripts, validates it (C(svccfg validate))
    and imports it (C(svccfg import)).
  - Nothing is run but one C(svcs) when files and repository are already as they shall be.
  - A manifest that is not valid, or that cannot be imported, leaves the file that was there before.
version_added: "0.1.0"
author: The sdc-ipython-cluster contributors
options:
  state:
    description:
      - V(absent) disables the instances, waits until they have stopped, deletes the services from
        the repository and removes the manifest and the method scripts.
    type: str
    choices: [present, absent]
    default: present
  content:
    description:
      - The manifest. One of O(content) and O(src) is needed with O(state=present).
    type: str
  src:
    description:
      - A manifest that already lies on the machine; imported from there.
    type: path
  fmri:
    description:
      - The service, needed for O(state=absent) without O(content) or O(src). With a manifest it is
        checked that the manifest contains it.
    type: str
  path:
    description:
      - Where the manifest is kept. The default lies outside the trees that SMF itself manages.
      - Default is C(/opt/local/lib/svc/manifest/NAME.xml), NAME being the last part of the service
        name.
    type: path
  methods:
    description:
      - Method scripts of the service.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description:
          - Absolute path of the script.
        type: path
        required: true
      content:
        description:
          - The script. Needed with O(state=present).
        type: str
      mode:
        description:
          - File mode, octal.
        type: str
        default: "0555"
  timeout:
    description:
      - Seconds to wait for instances to stop, with O(state=absent).
    type: int
    default: 120
attributes:
  check_mode:
    support: full
    description: A new manifest is also validated in check mode.
  diff_mode:
    support: full
    description: Shows the text of manifest and scripts.
"""

EXAMPLES = r"""
- name: Service with its start method
  smf_manifest:
    content: "{{ lookup('ansible.builtin.template', 'ipyparallel.xml.j2') }}"
    methods:
      - path: /opt/local/lib/svc/method/ipengine
        content: "{{ lookup('ansible.builtin.template', 'ipengine.sh.j2') }}"
  register: ipython_service_manifest

- name: Service gone
  smf_manifest:
    fmri: svc:/pkgsrc/ipyparallel
    state: absent
    methods:
      - path: /opt/local/lib/svc/method/ipengine
"""

RETURN = r"""
path:
  description: Where the manifest is kept.
  returned: always
  type: str
  sample: /opt/local/lib/svc/manifest/ipyparallel.xml
services:
  description: Service FMRIs of the manifest.
  returned: always
  type: list
  elements: str
  sample: ["svc:/pkgsrc/ipyparallel"]
instances:
  description: Instance FMRIs of the manifest.
  returned: always
  type: list
  elements: str
  sample: ["svc:/pkgsrc/ipyparallel:controller", "svc:/pkgsrc/ipyparallel:engine"]
imported:
  description: Whether the manifest was imported by this task.
  returned: always
  type: bool
methods_changed:
  description: Paths of method scripts that were written or removed.
  returned: always
  type: list
  elements: str
"""

import os
import tempfile
from pathlib import Path
from typing import Any, NoReturn
from xml.etree import ElementTree

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.smf.repository import Smf, SmfError
from ansible.module_utils.smf.wait import Waiter, WaitFailed

ARGUMENTS: dict[str, Any] = {
    "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
    "content": {"type": "str"},
    "src": {"type": "path"},
    "fmri": {"type": "str"},
    "path": {"type": "path"},
    "methods": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "path": {"type": "path", "required": True},
            "content": {"type": "str"},
            "mode": {"type": "str", "default": "0555"},
        },
    },
    "timeout": {"type": "int", "default": 120},
}

MANIFESTS = Path("/opt/local/lib/svc/manifest")


class SmfManifest:
    """One run of the module."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.params = module.params
        self.smf = Smf(module)
        self.services: list[str] = []
        self.instances: list[str] = []
        self.path = Path()
        self.diff: list[dict[str, str]] = []
        self.methods_changed: list[str] = []
        self.imported = False

    def run(self) -> NoReturn:
        """Do what the parameters say and leave the module."""
        text = self._manifest_text()
        if text is not None:
            self._parse(text)
        elif self.params["fmri"]:
            self.services = [self.params["fmri"].removesuffix("/")]
        self.path = self._manifest_path()
        if self.params["state"] == "absent":
            self._absent()
        elif text is None:
            raise SmfError("state present needs content or src, the manifest")
        else:
            self._present(text)
        self._exit()

    # --- the manifest ----------------------------------------------------------------------

    def _manifest_text(self) -> str | None:
        if self.params["src"] is None:
            content: str | None = self.params["content"]
            return content
        try:
            return Path(self.params["src"]).read_text(encoding="utf-8")
        except OSError as exc:
            if self.params["state"] == "absent":
                return None
            raise SmfError(f"src cannot be read: {exc}") from exc

    def _parse(self, text: str) -> None:
        try:
            root = ElementTree.fromstring(text)
        except ElementTree.ParseError as exc:
            raise SmfError(f"the manifest is not well-formed XML: {exc}") from exc
        for service in root.iter("service"):
            name = f"svc:/{service.get('name')}"
            self.services.append(name)
            names = [instance.get("name") for instance in service.iter("instance")]
            if service.find("create_default_instance") is not None:
                names.append("default")
            self.instances += [f"{name}:{instance}" for instance in names]
        if not self.services:
            raise SmfError("the manifest contains no service; is it a profile?")
        wanted = self.params["fmri"]
        if wanted and wanted not in self.services + self.instances:
            raise SmfError(f"the manifest has {', '.join(self.services)}, not {wanted}")

    def _manifest_path(self) -> Path:
        for option in ("path", "src"):
            if self.params[option]:
                return Path(self.params[option])
        if not self.services:
            raise SmfError("say which service: give fmri, content, src or path")
        name = self.services[0].removeprefix("svc:/").partition(":")[0].rpartition("/")[2]
        return MANIFESTS / f"{name}.xml"

    # --- present ---------------------------------------------------------------------------

    def _present(self, text: str) -> None:
        self._lay_methods()
        old = _read(self.path)
        if old == text and self._all_imported():
            return
        self._validate(text)
        if not self.module.check_mode:
            self._import(text, old)
        self.imported = True
        if old != text:
            self._note(self.path, old, text)

    def _import(self, text: str, old: str | None) -> None:
        if old != text:
            _write(self.path, text, 0o444)
        try:
            self.smf.check("svccfg", "import", str(self.path))
        except SmfError:
            # the next run must not take a manifest that was never imported for done
            if old is None:
                self.path.unlink()
            elif old != text:
                _write(self.path, old, 0o444)
            raise

    def _lay_methods(self) -> None:
        for method in self.params["methods"]:
            path, content = Path(method["path"]), method["content"]
            if content is None:
                raise SmfError(f"method {path} needs its content")
            mode = _mode(method["mode"])
            old = _read(path)
            old_mode = path.stat().st_mode & 0o7777 if old is not None else None
            if old == content and old_mode == mode:
                continue
            self._note(path, old, content)
            self.methods_changed.append(str(path))
            if not self.module.check_mode:
                _write(path, content, mode)

    def _all_imported(self) -> bool:
        if not self.instances:
            return self.smf.run("svcprop", "-q", *self.services)[0] == 0
        return self.smf.run("svcs", "-H", "-o", "fmri", *self.instances)[0] == 0

    def _validate(self, text: str) -> None:
        handle, name = tempfile.mkstemp(suffix=".xml", dir=self.module.tmpdir)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            code, stdout, stderr = self.smf.run("svccfg", "validate", name)
        finally:
            Path(name).unlink()
        if code != 0:
            reason = (stderr or stdout).replace(name, str(self.path))
            raise SmfError(f"the manifest is not valid: {' '.join(reason.split())}")

    # --- absent ----------------------------------------------------------------------------

    def _absent(self) -> None:
        for service in self.services:
            self._remove_service(service)
        for path in [self.path, *(Path(method["path"]) for method in self.params["methods"])]:
            old = _read(path)
            if old is None:
                continue
            self._note(path, old, None)
            if path != self.path:
                self.methods_changed.append(str(path))
            if not self.module.check_mode:
                path.unlink()

    def _remove_service(self, service: str) -> None:
        if self.smf.run("svcprop", "-q", service)[0] != 0:
            return
        code, stdout, _ = self.smf.run("svcs", "-H", "-o", "fmri,state", f"{service}:*")
        states = dict(line.split() for line in stdout.splitlines()) if code == 0 else {}
        self.diff.append({"before": f"{service}\n", "after": "", "before_header": "repository"})
        if self.module.check_mode:
            return
        running = [fmri for fmri, state in states.items() if state != "disabled"]
        if running:
            self.smf.check("svcadm", "disable", *running)
        for fmri in running:
            Waiter(self.smf, fmri, self.params["timeout"]).wait(("disabled", "maintenance"))
        self.smf.check("svccfg", "delete", "-f", service)

    # --- results ---------------------------------------------------------------------------

    def _note(self, path: Path, before: str | None, after: str | None) -> None:
        header = str(path)
        self.diff.append(
            {
                "before": before or "",
                "after": after or "",
                "before_header": header,
                "after_header": header,
            }
        )

    def result(self) -> dict[str, Any]:
        """The module's result so far."""
        return {
            "changed": bool(self.diff or self.imported or self.methods_changed),
            "path": str(self.path),
            "services": self.services,
            "instances": self.instances,
            "imported": self.imported,
            "methods_changed": self.methods_changed,
            "diff": self.diff,
        }

    def _exit(self) -> NoReturn:
        self.module.exit_json(**self.result())


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None


def _mode(text: str) -> int:
    try:
        return int(text, 8)
    except ValueError as exc:
        raise SmfError(f'mode {text!r} is not octal; write "0555", in quotes') from exc


def _write(path: Path, text: str, mode: int) -> None:
    """Replace a file in one step, so that no reader finds half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        mutually_exclusive=[("content", "src")],
        supports_check_mode=True,
    )
    manifest = SmfManifest(module)
    try:
        manifest.run()
    except WaitFailed as exc:
        module.fail_json(msg=str(exc), log=exc.log, **manifest.result())
    except (SmfError, OSError) as exc:
        module.fail_json(msg=str(exc), **manifest.result())


if __name__ == "__main__":
    main()
