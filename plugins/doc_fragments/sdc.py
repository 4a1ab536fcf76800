"""Options that every module and plugin which talks to CloudAPI has in common."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation of the CloudAPI access options."""

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
"""
