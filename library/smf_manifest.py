#!/usr/bin/python
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
