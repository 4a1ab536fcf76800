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
"""
