"""Ansible inventory plugin: the machines of a SmartDataCenter / Triton account."""

from __future__ import annotations

DOCUMENTATION = r"""
name: sdc
short_description: Machines of a SmartDataCenter (Triton) account
description:
  - Lists the machines of an account through CloudAPI, with one list request for all of them.
  - Groups and host variables are built in Python; O(compose), O(groups) and O(keyed_groups) work on
    top for those who want more.
  - Empty and quiet when no data center is configured and the embedded one does not run.
version_added: "0.1.0"
author: The sdc-ipython-cluster contributors
extends_documentation_fragment: [sdc, constructed, inventory_cache]
options:
  plugin:
    description:
      - Marks the file as one for this plugin.
    type: str
    required: true
    choices: [sdc]
  selector:
    description:
      - Only machines that have these tags; the data center does the filtering.
    type: dict
    default: {}
  states:
    description:
      - Only machines in these states.
    type: list
    elements: str
    default: [running]
  group_by:
    description:
      - Groups to make. V(cluster) gives C(cluster_NAME) and V(role) gives C(role_NAME), from the
        tags of the same name. Further V(state), V(package), V(image), V(network), V(datacenter), and
        V(tag) (C(tag_KEY_VALUE)) with the prefix C(sdc_). V(image) and V(network) cost one more
        request each.
    type: list
    elements: str
    choices: [cluster, role, tag, state, package, image, network, datacenter]
    default: [cluster, role]
  address:
    description:
      - Which address C(ansible_host) becomes, in order of preference. V(primary) is the primary
        address, V(external) and V(internal) the first that is not, or is, in private address
        space. Addresses that are C(dhcp) are passed over. CIDR blocks are accepted as well.
    type: list
    elements: str
    default: [primary, external, internal]
  ssh_user:
    description:
      - Value of C(ansible_user).
    type: str
    default: root
  ssh_config:
    description:
      - Configuration file for C(ssh). Default is the data center's own, when it has one (the
        embedded one has).
    type: path
  known_hosts:
    description:
      - File for the host keys of the machines, kept by machine id because addresses are used again.
        A relative path is relative to the inventory file's parent directory, or to the directory
        above it when the file lies in one called C(inventory).
    type: str
    default: .cluster/known_hosts
  python_interpreter:
    description:
      - Value of C(ansible_python_interpreter).
    type: str
    default: /opt/local/libexec/ipyparallel/python3
"""

EXAMPLES = r"""
# inventory/sdc.yml: all clusters of the account
plugin: sdc

# one cluster only, and more groups
# plugin: sdc
# selector: {cluster: ipython}
# group_by: [cluster, role, package]
"""
