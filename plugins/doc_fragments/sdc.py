"""Options that modules and plugins which talk to CloudAPI have in common."""

from __future__ import annotations


class ModuleDocFragment:
    """Access to CloudAPI; parts for modules that look, and for those that change and wait."""

    DOCUMENTATION = r"""
options:
  profile:
    description:
      - Name of a profile of the C(triton) command, C(~/.triton/profiles.d/NAME.json).
    type: str
  url:
    description:
      - CloudAPI URL without the account, for example V(https://us-central-1.api.mnx.io).
    type: str
  account:
    description:
      - Login of the account.
    type: str
  user:
    description:
      - Login of a sub-user of the account (RBAC).
    type: str
  key_id:
    description:
      - Fingerprint (MD5 or SHA256) or name of the SSH key that signs the requests.
    type: str
  key_file:
    description:
      - Private key that signs the requests. Without it the key is looked for by O(key_id) in
        C(~/.ssh) and in the ssh-agent.
    type: path
  insecure:
    description:
      - Accept a TLS certificate that cannot be verified.
    type: bool
requirements:
  - The Python package C(smartdc) of this repository, in the interpreter that runs the module.
notes:
  - What is not given here comes, in this order, from the environment variables C(TRITON_URL),
    C(TRITON_ACCOUNT), C(TRITON_USER), C(TRITON_KEY_ID), from the same with C(SDC_), from the
    profile (C(TRITON_PROFILE), then the current one of the C(triton) command), and at last from
    the embedded data center, when it runs.
  - The inventory plugin takes these options from its file. Modules take them from the task or, once
    for a whole play, from C(module_defaults), as C(docs/modules/README.md) shows.
"""

    CHANGES = r"""
attributes:
  check_mode:
    support: full
    description: Predicts the result and changes nothing.
  diff_mode:
    support: full
    description: Shows what changes.
"""

    LOOKS = r"""
options:
  missing_ok:
    description:
      - An empty list instead of a failure, when nothing has the name in O(name).
    type: bool
    default: false
notes:
  - A name that does not exist is a failure that tells the nearest ones.
attributes:
  check_mode:
    support: full
    description: Changes nothing in any case.
  diff_mode:
    support: none
    description: There is nothing that could differ.
"""

    WAITS = r"""
options:
  wait:
    description:
      - Wait until the change has come to its end; a failure of it fails the task at once.
    type: bool
    default: true
  wait_timeout:
    description:
      - Seconds after which waiting fails the task.
    type: int
    default: 600
"""
