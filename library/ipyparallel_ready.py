#!/usr/bin/python
# ruff: noqa: E402 - ansible-doc wants the documentation before the imports
"""Ansible module: wait until a cluster of IPython engines really computes."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ipyparallel_ready
short_description: Wait until IPython engines compute
description:
  - Runs on the controller's machine. Waits until every machine has its engines, and until every
    engine has answered four probes. One direct call, one load-balanced task, one broadcast and one
    line of standard output; registered ids alone do not prove that the ports between the machines
    are open.
  - Engines may come and go meanwhile.
  - Ids of engines that have died without the controller noticing are removed, once all machines
    have their engines.
  - An engine that does not answer because it computes for somebody is counted, and listed in
    RV(busy).
version_added: "0.1.0"
author: The sdc-ipython-cluster contributors
options:
  machines:
    description:
      - The machines that run engines. Each entry is a name, or a dict of C(name) and C(aliases),
        where aliases are further host names, ids or addresses by which the engine may know its
        machine.
    type: list
    elements: raw
    required: true
  engines_per_machine:
    description:
      - Number of engines on each machine.
    type: int
    default: 1
  connection_file:
    description:
      - The client's connection file. Default is C(security/ipcontroller-client.json) of the
        profile.
    type: path
  ipython_dir:
    description:
      - IPYTHONDIR of the controller.
    type: path
  profile:
    description:
      - Name of the IPython profile.
    type: str
    default: default
  timeout:
    description:
      - Seconds for everything together.
    type: int
    default: 120
  probe_timeout:
    description:
      - Seconds in which an engine has to answer a probe before its path counts as blocked.
    type: float
    default: 10
  purge:
    description:
      - Remove ids of engines that no longer exist.
    type: bool
    default: true
attributes:
  check_mode:
    support: full
    description: Probes, but purges nothing. An absent controller is no error.
  diff_mode:
    support: none
    description: There is nothing to compare.
"""

EXAMPLES = r"""
- name: All engines compute
  ipyparallel_ready:
    ipython_dir: /opt/local/share/ipython
    machines:
      - name: ipython-engine-001
        aliases: [5a4b5c3e-58a6-4ea9-a4a1-56ea4f4c3c1d, 10.99.0.12]
    engines_per_machine: 1
    timeout: 120
"""

RETURN = r"""
ids:
  description: Ids of the engines that are ready.
  returned: always
  type: list
  elements: int
engines:
  description: Where each engine runs.
  returned: always
  type: list
  elements: dict
  sample: [{id: 0, machine: ipython-engine-001, hostname: ipython-engine-001, pid: 4711}]
missing:
  description: Machines that have too few engines.
  returned: always
  type: list
  elements: dict
  sample: [{machine: ipython-engine-002, have: 0, want: 1}]
blocked:
  description: Ids of engines that did not answer, by probe.
  returned: always
  type: dict
  sample: {direct: [], task: [2], broadcast: [], stdout: []}
busy:
  description: Ids of engines that compute for others and were not probed to the end.
  returned: always
  type: list
  elements: int
purged:
  description: Ids of engines that no longer existed.
  returned: always
  type: list
  elements: int
elapsed:
  description: Seconds that the module waited.
  returned: always
  type: float
"""
