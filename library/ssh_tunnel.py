#!/usr/bin/python
# ruff: noqa: E402 - ansible-doc wants the documentation before the imports
"""Ansible module: one SSH tunnel from here to an IPython controller, and the file to use it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ssh_tunnel
short_description: SSH tunnel to an IPython controller
description:
  - Keeps one C(ssh -N) with a forwarding for each port that clients need, from free ports of
    127.0.0.1, and writes a connection file with these ports, C(0600), for C(ipyparallel.Client).
  - Runs on the machine of the user, not on the controller.
  - A tunnel that works and leads to the same ports is left alone.
version_added: "1.0.0"
author: The sdc-ipython-cluster contributors
options:
  state:
    description:
      - V(absent) ends the tunnel and removes its files.
    type: str
    choices: [present, absent]
    default: present
  dest:
    description:
      - The connection file to write. The control socket C(tunnel.sock), the log C(tunnel.log) and
        the lock C(tunnel.lock) lie beside it.
    type: path
    required: true
  host:
    description:
      - The controller's address for SSH. Needed with O(state=present).
    type: str
  ssh_user:
    description:
      - User to log in as.
    type: str
    default: root
  ssh_port:
    description:
      - Port of sshd.
    type: int
  ssh_config:
    description:
      - Configuration file for the C(ssh) command.
    type: path
  ssh_args:
    description:
      - More arguments for the C(ssh) command, as C(ansible_ssh_common_args) of Ansible.
    type: str
    default: ""
  connection:
    description:
      - The client's connection information, the fact C(ipcontroller_client) of
        C(ipcontroller_facts). Needed with O(state=present).
    type: dict
  timeout:
    description:
      - Seconds until the tunnel has to work.
    type: int
    default: 30
attributes:
  check_mode:
    support: full
    description: Changes nothing and reports what would change.
  diff_mode:
    support: full
    description: Shows the ports, not the key.
"""

EXAMPLES = r"""
- name: Tunnel to the controller
  ssh_tunnel:
    dest: .cluster/ipython/ipcontroller-client.json
    host: 100.64.0.11
    connection: "{{ hostvars['ipython-controller'].ipcontroller_client }}"
  no_log: true

- name: Tunnel ended
  ssh_tunnel:
    dest: .cluster/ipython/ipcontroller-client.json
    state: absent
"""

RETURN = r"""
dest:
  description: The connection file.
  returned: always
  type: str
  sample: .cluster/ipython/ipcontroller-client.json
pid:
  description: Process id of the C(ssh) that holds the tunnel.
  returned: when the tunnel exists
  type: int
ports:
  description: Local port of each channel.
  returned: when the tunnel exists
  type: dict
  sample: {registration: 41001, mux: 41002}
"""

import subprocess
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ipp.tunnel import CHANNELS, ORIGIN, Tunnel, TunnelError
from ansible.module_utils.sdc import client

ARGUMENTS: dict[str, Any] = {
    "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
    "dest": {"type": "path", "required": True},
    "host": {"type": "str"},
    "ssh_user": {"type": "str", "default": "root"},
    "ssh_port": {"type": "int"},
    "ssh_config": {"type": "path"},
    "ssh_args": {"type": "str", "default": ""},
    "connection": {"type": "dict"},
    "timeout": {"type": "int", "default": 30},
}


def present(module: AnsibleModule, tunnel: Tunnel) -> dict[str, Any]:
    """Have the tunnel; return the result."""
    old = tunnel.written()
    if tunnel.up_to_date():
        pid, changed = tunnel.pid(), False
    else:
        pid, changed = None, True
        if not module.check_mode:
            tunnel.stop()
            pid = tunnel.start()
    new = tunnel.written()
    ports = {name: new[name] for name in CHANNELS if name in new}
    return {
        "changed": changed,
        "pid": pid,
        "ports": ports,
        "diff": {
            "before": {name: old[name] for name in (*CHANNELS, ORIGIN) if name in old},
            "after": {**ports, ORIGIN: tunnel.origin()},
        },
    }


def absent(module: AnsibleModule, tunnel: Tunnel) -> dict[str, Any]:
    """Have no tunnel; return the result."""
    pid = tunnel.pid()
    changed = pid is not None or tunnel.file.exists()
    if changed and not module.check_mode:
        tunnel.stop()
    before = {"connection_file": str(tunnel.file), "pid": pid} if changed else {}
    return {"changed": changed, "diff": {"before": before, "after": {}}}


def main() -> None:
    """Entry point."""
    # of the connection only the keys are secret; no_log of the option would hide "json" everywhere
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        required_if=[("state", "present", ("host", "connection"))],
        supports_check_mode=True,
        no_log=True,
    )
    if client.MISSING is not None:
        module.fail_json(msg=client.ADVICE, exception=client.MISSING)
    if module.get_bin_path("ssh") is None:
        module.fail_json(msg="there is no ssh command; install openssh-client")
    params = module.params
    connection = params["connection"] or {}
    secrets = (connection.get(name) for name in ("key", "curve_serverkey"))
    module.no_log_values.update(str(secret) for secret in secrets if secret)
    lacking = [name for name in CHANNELS if not str(connection.get(name)).isdecimal()]
    lacking += ["interface"] if "interface" not in connection else []
    if params["state"] == "present" and lacking:
        module.fail_json(
            msg=f"connection lacks {', '.join(lacking)}; it is the content of the controller's "
            "ipcontroller-client.json"
        )
    tunnel = Tunnel(params)
    work = present if params["state"] == "present" else absent
    try:
        if not tunnel.directory.is_dir():
            if params["state"] == "absent" or module.check_mode:
                module.exit_json(changed=params["state"] == "present", dest=str(tunnel.file))
            tunnel.directory.mkdir(parents=True, mode=0o700)
        with tunnel.locked():
            result = work(module, tunnel)
    except (TunnelError, OSError, subprocess.TimeoutExpired) as exc:
        module.fail_json(msg=str(exc), dest=str(tunnel.file))
    module.exit_json(dest=str(tunnel.file), **result)


if __name__ == "__main__":
    main()
