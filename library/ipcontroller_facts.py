#!/usr/bin/python
# ruff: noqa: E402 - ansible-doc wants the documentation before the imports
"""Ansible module: how to connect to the IPython controller of this machine."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ipcontroller_facts
short_description: Connection information of an IPython controller
description:
  - Reads the connection files that C(ipcontroller) writes and returns what engines and clients need
    as facts.
  - Waits until the files are complete and the registration port accepts connections.
  - The result holds the key of the cluster. Use C(no_log) with the task.
version_added: "0.1.0"
author: The sdc-ipython-cluster contributors
options:
  ipython_dir:
    description:
      - IPYTHONDIR of the controller. One of O(ipython_dir) and O(profile_dir) is needed.
    type: path
  profile:
    description:
      - Name of the IPython profile.
    type: str
    default: default
  profile_dir:
    description:
      - The profile directory itself, instead of O(ipython_dir) and O(profile).
    type: path
  cluster_id:
    description:
      - The C(--cluster-id) of the controller, part of the file names.
    type: str
    default: ""
  timeout:
    description:
      - Seconds to wait for the files and the port.
    type: int
    default: 60
attributes:
  check_mode:
    support: full
    description: Changes nothing. When there are no files yet, no facts are returned.
  diff_mode:
    support: none
    description: Changes nothing.
"""

EXAMPLES = r"""
- name: Connection information
  ipcontroller_facts:
    ipython_dir: /opt/local/share/ipython
  no_log: true
"""

RETURN = r"""
ansible_facts:
  description: Facts of the controller's machine.
  returned: when the files exist
  type: complex
  contains:
    ipcontroller_url:
      description: Where engines register.
      type: str
      sample: tcp://10.99.0.11:20000
    ipcontroller_exec_key:
      description: The key that signs all messages.
      type: str
    ipcontroller_engine:
      description: The whole connection information of engines.
      type: dict
    ipcontroller_client:
      description: The whole connection information of clients.
      type: dict
    ipcontroller_python:
      description: Minor version of the Python that the controller runs on.
      type: str
      sample: "3.13"
    ipcontroller_ipyparallel:
      description: Version of its ipyparallel, empty where there is none.
      type: str
      sample: 9.2.0
"""

import json
import socket
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

ARGUMENTS: dict[str, Any] = {
    "ipython_dir": {"type": "path"},
    "profile": {"type": "str", "default": "default"},
    "profile_dir": {"type": "path"},
    "cluster_id": {"type": "str", "default": ""},
    "timeout": {"type": "int", "default": 60},
}

NEEDED = ("interface", "registration", "key", "location")


class NotYet(Exception):
    """The controller is not there yet; the message says what is missing."""


def read_connection(path: Path) -> dict[str, Any]:
    """The content of a connection file, once it is complete."""
    try:
        info: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        raise NotYet(f"there is no {path}") from exc
    except (OSError, ValueError) as exc:
        raise NotYet(f"{path} cannot be read: {exc}") from exc
    missing = [name for name in NEEDED if name not in info]
    if missing:
        raise NotYet(f"{path} lacks {', '.join(missing)}")
    return info


def endpoint(info: dict[str, Any]) -> tuple[str, int]:
    """Host and port of registration; a wildcard interface stands for the location."""
    host = str(info["interface"]).partition("://")[2]
    if host in ("", "*", "0.0.0.0"):
        host = str(info["location"])
    return host, int(info["registration"])


def connect(host: str, port: int) -> None:
    """Raise NotYet unless the port accepts connections."""
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError as exc:
        raise NotYet(f"the controller does not listen on {host}:{port} ({exc})") from exc


def facts(security: Path, cluster_id: str) -> dict[str, Any]:
    """The facts, if the controller is up."""
    stem = f"ipcontroller-{cluster_id}" if cluster_id else "ipcontroller"
    engine = read_connection(security / f"{stem}-engine.json")
    client = read_connection(security / f"{stem}-client.json")
    host, port = endpoint(engine)
    connect(host, port)
    return {
        "ipcontroller_url": f"tcp://{host}:{port}",
        "ipcontroller_exec_key": engine["key"],
        "ipcontroller_engine": engine,
        "ipcontroller_client": client,
        "ipcontroller_python": "{}.{}".format(*sys.version_info),
        "ipcontroller_ipyparallel": ipyparallel(),
    }


def ipyparallel() -> str:
    """The version of the package, "" where there is none."""
    try:
        return metadata.version("ipyparallel")
    except metadata.PackageNotFoundError:
        return ""


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        required_one_of=[("ipython_dir", "profile_dir")],
        mutually_exclusive=[("ipython_dir", "profile_dir")],
        supports_check_mode=True,
    )
    params = module.params
    profile = Path(params["profile_dir"] or f"{params['ipython_dir']}/profile_{params['profile']}")
    deadline = time.monotonic() + (0 if module.check_mode else params["timeout"])
    pause = 0.05
    while True:
        try:
            found = facts(profile / "security", params["cluster_id"])
        except NotYet as exc:
            if time.monotonic() < deadline:
                time.sleep(pause)
                pause = min(pause * 1.4, 1.0)
                continue
            if module.check_mode:
                module.exit_json(changed=False, msg=f"no facts in check mode: {exc}")
            module.fail_json(
                msg=f"{exc} after {params['timeout']} s; look at the controller with "
                "'svcs -xv' and at its log ('svcs -L')"
            )
        else:
            module.exit_json(changed=False, ansible_facts=found)


if __name__ == "__main__":
    main()
