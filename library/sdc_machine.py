#!/usr/bin/python
# ruff: noqa: E402 - ansible-doc wants the documentation before the imports
"""Ansible module: machines of a SmartDataCenter / Triton account, one or a whole cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
module: sdc_machine
short_description: Machines of a SmartDataCenter (Triton) account
description:
  - Creates, starts, stops, restarts and deletes machines through CloudAPI; one machine by name or
    id, or a whole cluster of several groups in one task.
  - Creations, deletions and changes run concurrently. Waiting costs one list request per poll for
    all machines together.
  - Compares only what the task wrote. Tags and metadata that others have set are left alone.
  - A run that fails half-way reports the ids of what it has made; the next run adopts these
    machines.
  - A machine that was changed and does not show it within O(wait_timeout)
    fails the task, unless O(wait=false).
version_added: "1.0.0"
author: The sdc-ipython-cluster contributors
options:
  state:
    description:
      - V(present) creates what is missing. With O(exact_count) or O(groups) the machines that count
        are also started when they are stopped, and surplus machines are deleted.
      - V(started) is V(present) and running, V(stopped) halts and V(restarted) reboots machines
        that exist.
      - V(absent) stops, deletes and verifies that nothing is left. With O(selector) machines whose
        provisioning failed are deleted as well.
    type: str
    choices: [present, absent, started, stopped, restarted]
    default: present
  name:
    description:
      - Name of the machine. With O(exact_count) a pattern with an index, counted from 1, such as
        V(ipython-engine-{index:03d}); indices that have become free are used again first.
    type: str
  id:
    description:
      - Id (UUID) of an existing machine. An id that does not exist is an error, never a new
        machine. With O(name) the machine is renamed.
    type: str
  selector:
    description:
      - Tags by which the machines of this task are found. Every machine that is created gets them.
        O(tags) and the selectors of groups cannot say otherwise.
      - Machines without these tags are never counted, changed or deleted.
    type: dict
    aliases: [count_tags]
  exact_count:
    description:
      - The number of machines that shall exist, V(0) included. Provisioning, running and (see
        O(count_stopped)) stopped machines count. Needs a non-empty O(selector).
    type: int
  initial:
    description:
      - What counts as long as the task has no machine at all, and does not say it in the option of
        the same name. Later, what is not said leaves machines as they are, and new ones become like
        them.
    type: dict
    suboptions: &initial
      package:
        description: Package of the first machines. Default is the smallest that fits.
        type: str
      image:
        description: Image of the first machines.
        type: str
      networks:
        description: Networks of the first machines. Default is the data center's choice.
        type: list
        elements: str
  adopt:
    description:
      - With O(groups), machines with these tags, a group's own selector and a name as the group
        gives them count, too, although they lack the tags of O(selector), which they are given.
    type: dict
  groups:
    description:
      - Several sets of machines, handled together. Each entry takes the options below; what it
        leaves out comes from the option of the same name of the task.
      - Entries must differ in the value of at least one selector tag, so that each machine belongs
        to one entry only.
    type: list
    elements: dict
    suboptions:
      name:
        description: Name or, with more than one machine, name pattern.
        type: str
        required: true
      exact_count:
        description: The number of machines that shall exist.
        type: int
        default: 1
      initial:
        description: As O(initial); merged over the task's.
        type: dict
        suboptions: *initial
      selector:
        description:
          - Tags by which machines of this group are told from others with the task's O(selector).
            Added to the task's.
        type: dict
        aliases: [count_tags]
      package:
        description: As O(package).
        type: str
      image:
        description: As O(image).
        type: str
      networks:
        description: As O(networks).
        type: list
        elements: str
      volumes:
        description: As O(volumes).
        type: list
        elements: dict
        suboptions: &volume
          name:
            description: Name of the volume.
            type: str
            required: true
          mountpoint:
            description: Absolute path at which the machine mounts it.
            type: path
            required: true
          mode:
            description: Whether the machine may write to it.
            type: str
            choices: [rw, ro]
            default: rw
      tags:
        description: As O(tags); merged over the task's.
        type: dict
      metadata:
        description: As O(metadata); merged over the task's.
        type: dict
      secret_metadata:
        description: As O(secret_metadata); merged over the task's.
        type: dict
      user_script:
        description: As O(user_script).
        type: str
      firewall_enabled:
        description: As O(firewall_enabled).
        type: bool
      deletion_protection:
        description: As O(deletion_protection).
        type: bool
      affinity:
        description: As O(affinity).
        type: list
        elements: str
  package:
    description:
      - Package, by name or id. An existing machine with another package is resized.
      - Without it existing machines stay as they are, and new ones get that of the task's others,
        or else the smallest active package of brand joyent (or of none) with 512 MiB or more.
    type: str
  image:
    description:
      - Image, by id, V(name@version), or name (the newest version). Cannot be changed afterwards.
      - Without it new machines get that of the task's others.
    type: str
  networks:
    description:
      - Networks, by name or id. The first external one becomes the primary one, where there is one.
        Without this option those of the task's other machines, or else CloudAPI chooses.
      - V(NAME=ADDRESS) asks for a certain address, which Triton grants on fabric networks.
      - Only used when a machine is created, unless there is O(attach_networks).
    type: list
    elements: str
  volumes:
    description:
      - Volumes that new machines mount; see C(sdc_volume). Only used when a machine is created.
    type: list
    elements: dict
    suboptions: *volume
  tags:
    description: Tags that the machines shall have beside the selector's.
    type: dict
  purge_tags:
    description:
      - Remove all other tags. Those that Triton and this module itself use (C(triton.*),
        C(tritoncli.*), C(docker:*), C(ansible.request)) stay.
    type: bool
    default: false
  metadata:
    description:
      - Metadata that the machines shall have. Values of keys that look secret (C(*_pw), C(*key),
        C(*password), C(*secret), C(*token)) appear in no output.
    type: dict
  secret_metadata:
    description: More metadata, no value of which appears in any output.
    type: dict
  user_script:
    description:
      - The script that each boot runs in the machine (metadata key C(user-script)). With C(--diff)
        its text is shown; a script with secrets in it belongs in O(secret_metadata), as
        C(user-script).
    type: str
  firewall_enabled:
    description: Whether the firewall rules of the account apply to the machines.
    type: bool
  deletion_protection:
    description:
      - Whether the data center refuses to delete the machines. Such machines count as protected
        when there are too many (see O(protect)), and O(state=absent) fails before it deletes any.
      - With V(false) it is switched off where it is in the way.
    type: bool
  affinity:
    description:
      - Where new machines shall be in relation to others, such as V(role!=engine) or
        V(instance==gateway). With it machines are created one after the other.
    type: list
    elements: str
  attach_networks:
    description:
      - Give existing machines the networks of O(networks) that they lack, which reboots them; the
        task ends after that. Networks are never taken away; see C(sdc_nic).
    type: bool
    default: false
  count_stopped:
    description:
      - With O(exact_count) and O(groups), count stopped machines and start them. Otherwise they
        are left alone, and so are their names.
    type: bool
    default: true
  wait:
    description:
      - What to wait for. V(false) waits for nothing, V(running) and V(true) for the state, V(ssh)
        until a command has been run over SSH on every machine.
      - With O(state=stopped) and O(state=absent) anything but V(false) waits for that state.
      - C(ssh) offers the key that signs for CloudAPI, and no other of the agent.
      - The others are awaited when one fails; the task fails at the end and names each that did.
    type: str
    default: running
  wait_timeout:
    description:
      - Seconds after which waiting fails the task, naming every late machine and its last state.
    type: int
    default: 600
  check_key:
    description:
      - Whether to fail, before a machine is created, when the key that signs would not open it.
        That is so for sub-users who are no default members of the role C(administrator).
      - Default is to do so with O(wait=ssh), unless O(user_script) is given, which may add the key.
    type: bool
  ssh_config:
    description:
      - Configuration file for the C(ssh) command of O(wait=ssh). Default is the data center's own,
        when it has one (the embedded one has).
    type: path
  ssh_user:
    description: User of O(wait=ssh).
    type: str
    default: root
  ssh_args:
    description:
      - More arguments for the C(ssh) command of O(wait=ssh). V({id}) and V({name}) are replaced,
        for example V(-oHostKeyAlias={id}).
    type: list
    elements: str
    default: []
  ssh_address:
    description:
      - Which address O(wait=ssh) connects to, as C(address) of the inventory.
    type: list
    elements: str
    default: [primary, external, internal]
  ssh_jump_host:
    description:
      - Machine or host through which O(wait=ssh) goes where no tag C(tritoncli.ssh.proxy) says
        otherwise, as C(jump_host) of the inventory.
    type: str
  ssh_known_hosts:
    description:
      - File for host keys, which are kept by machine id, because addresses are used again. The
        public half of a key that is in the agent only is kept beside it. Default is the user's own.
    type: path
  ssh_refused_timeout:
    description:
      - Seconds after which a machine that answers and does nothing but refuse the key ends the
        wait. One that boots may not know the account's keys at once.
    type: int
    default: 60
  scale_in:
    description:
      - Which machines go when there are too many. Machines created by the same task count as
        equally old; among them the highest index goes first.
    type: str
    choices: [newest, oldest, highest_index]
    default: newest
  protect:
    description: Names or ids of machines that are never deleted by this task.
    type: list
    elements: str
    default: []
  max_delete:
    description: Delete nothing and fail when more machines than this would go.
    type: int
  max_count:
    description:
      - Do nothing and fail when the task asks for more machines than this, all groups together.
    type: int
    default: 5000
  stop_first:
    description: Halt running machines in an orderly way before they are deleted.
    type: bool
    default: true
  parallel:
    description:
      - Number of requests (and SSH checks) at the same time. The client's rate limit applies to all
        of them together.
    type: int
    default: 10
extends_documentation_fragment: [sdc, sdc.changes]
"""

EXAMPLES = r"""
- name: A controller and four engines
  sdc_machine:
    selector: {cluster: ipython}
    package: sample-512M
    image: base-64-lts
    wait: ssh
    groups:
      - name: ipython-controller
        selector: {role: controller}
      - name: ipython-engine-{index:03d}
        exact_count: 4
        selector: {role: engine}

- name: One machine by name
  sdc_machine:
    name: gateway
    package: sample-1G
    image: base-64-lts@24.4.1
    networks: [external, internal]
    tags: {team: geo}
    metadata: {stage: test}
    state: started

- name: Another name and size for it, and no other tags
  sdc_machine:
    id: 5a4b5c3e-58a6-4ea9-a4a1-56ea4f4c3c1d
    name: front
    package: sample-2G
    tags: {team: geo}
    purge_tags: true

- name: Everything of the cluster deleted, and verified
  sdc_machine:
    state: absent
    selector: {cluster: ipython}
"""

RETURN = r"""
machines:
  description: The machines of the task as they are at its end, in check mode as they would be.
  returned: always
  type: list
  elements: dict
  sample:
    - id: 5a4b5c3e-58a6-4ea9-a4a1-56ea4f4c3c1d
      name: ipython-engine-001
      state: running
      primary_ip: 100.64.0.12
      ips: [100.64.0.12, 10.99.0.12]
      package: sample-512M
      image: 2f1dc911-6401-4fa4-8e9d-67ea2e39c271
      tags: {cluster: ipython, role: engine}
      created: "2026-01-01T12:00:00.000Z"
created:
  description: Ids of machines that this task created (names in check mode).
  returned: always
  type: list
  elements: str
deleted:
  description: Ids of machines that this task deleted.
  returned: always
  type: list
  elements: str
kept:
  description: Ids of machines that existed before and still do.
  returned: always
  type: list
  elements: str
started_ids:
  description: Ids of machines that this task started.
  returned: always
  type: list
  elements: str
failed_ids:
  description: Ids of machines that are not as they should be; RV(failures) says why.
  returned: always
  type: list
  elements: str
resized:
  description: Ids of machines that this task gave another package; they are in RV(updated), too.
  returned: always
  type: list
  elements: str
chosen:
  description: What new machines got that the task did not say.
  returned: always
  type: dict
  sample: {package: sample-512M, image: base-64-lts@24.4.1 (2f1dc911-6401-4fa4-8e9d-67ea2e39c271)}
updated:
  description: Ids of machines of which this task changed something.
  returned: always
  type: list
  elements: str
failures:
  description: What went wrong with which machine.
  returned: always
  type: list
  elements: dict
  sample:
    - name: ipython-engine-002
      id: 0d1b2f0a-0c5b-4b2e-8bb7-2a9d2f3a7d11
      state: failed
      action: provision
      message: >-
        provisioning failed, and the data center does not say why; often no server has room for
        package sample-512M. Its operator can tell, and needs the id
        0d1b2f0a-0c5b-4b2e-8bb7-2a9d2f3a7d11
data_center:
  description: Name and URL of the data center and where the settings came from.
  returned: always
  type: dict
  sample: {name: localdc, url: "http://127.0.0.1:8080", account: localdc, source: embedded}
code:
  description: CloudAPI error code, when a request failed.
  returned: failure
  type: str
  sample: InvalidCredentials
status:
  description: HTTP status, when a request failed.
  returned: failure
  type: int
  sample: 401
request_id:
  description: Id of the failed request in the data center's logs.
  returned: failure
  type: str
machine_id:
  description: Id of the machine that the failure is about.
  returned: failure
  type: str
"""

from ansible.module_utils.sdc.base import Refused, SdcModule
from ansible.module_utils.sdc.client import lookup
from ansible.module_utils.sdc.machine.actions import Actions
from ansible.module_utils.sdc.machine.options import OPTIONS
from ansible.module_utils.sdc.machine.planner import Planner
from ansible.module_utils.sdc.machine.preconditions import Preconditions
from ansible.module_utils.sdc.machine.report import describe, predict
from ansible.module_utils.sdc.machine.result import Result
from ansible.module_utils.sdc.machine.search import Search
from ansible.module_utils.sdc.machine.specification import (
    Specification,
    check_options,
    what_to_wait_for,
)
from ansible.module_utils.sdc.machine.ssh import SshProbe
from ansible.module_utils.sdc.offers import Offers


class SdcMachine(SdcModule):
    """From options to machines: specification, plan, actions, result."""

    options = OPTIONS
    constraints = {  # noqa: RUF012
        "mutually_exclusive": [
            ("groups", "name"),
            ("groups", "id"),
            ("groups", "exact_count"),
            ("id", "exact_count"),
        ],
    }

    def execute(self) -> None:
        result = Result()
        try:
            self.params["wait"] = what_to_wait_for(self.params["wait"])
            check_options(self.params)
            if self.params["wait"] == "ssh" and not SshProbe.available():
                raise Refused("wait: ssh needs the ssh command; install openssh-client")
            self._ensure(result)
        finally:
            # a failure shows what was done before it
            self.result |= vars(result)

    def _ensure(self, result: Result) -> None:
        api, settings, offers = self.api, self.settings, Offers(self.api)
        specification = Specification(self.params, offers)
        if lookup.is_uuid(self.params["id"] or ""):
            self.subject["machine_id"] = self.params["id"]
        plan = Planner(specification, Search(api, specification), offers).plan()
        result.propose(plan)
        Preconditions(api, settings, offers, specification).check(plan)
        result.expect(plan)
        describe(plan, self.differences)
        if self.check_mode:
            predict(plan, offers, result)
        else:
            Actions(api, settings, offers, specification, result).apply(plan)
        result.check()


def main() -> None:
    """Entry point."""
    SdcMachine().run()


if __name__ == "__main__":
    main()
