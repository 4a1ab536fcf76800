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
version_added: "0.1.0"
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
      - More arguments for the C(ssh) command.
    type: list
    elements: str
    default: []
  connection:
    description:
      - The client's connection information, the fact C(ipcontroller_client) of
        M(ipcontroller_facts). Needed with O(state=present).
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
    host: 10.88.0.11
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
