"""The options of sdc_machine."""

from __future__ import annotations

from typing import Any

VOLUME: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "mountpoint": {"type": "path", "required": True},
    "mode": {"type": "str", "default": "rw", "choices": ["rw", "ro"]},
}

INITIAL: dict[str, Any] = {
    "package": {"type": "str"},
    "image": {"type": "str"},
    "networks": {"type": "list", "elements": "str"},
}

GROUP: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "exact_count": {"type": "int", "default": 1},
    "initial": {"type": "dict", "options": INITIAL},
    "selector": {"type": "dict", "aliases": ["count_tags"]},
    "package": {"type": "str"},
    "image": {"type": "str"},
    "networks": {"type": "list", "elements": "str"},
    "volumes": {"type": "list", "elements": "dict", "options": VOLUME},
    "tags": {"type": "dict"},
    "metadata": {"type": "dict"},
    "secret_metadata": {"type": "dict", "no_log": True},
    "user_script": {"type": "str"},
    "firewall_enabled": {"type": "bool"},
    "deletion_protection": {"type": "bool"},
    "affinity": {"type": "list", "elements": "str"},
}

OPTIONS: dict[str, Any] = {
    **GROUP,
    "name": {"type": "str"},
    "exact_count": {"type": "int"},
    "groups": {"type": "list", "elements": "dict", "options": GROUP},
    "adopt": {"type": "dict"},
    "state": {
        "type": "str",
        "default": "present",
        "choices": ["present", "absent", "started", "stopped", "restarted"],
    },
    "id": {"type": "str"},
    "wait": {"type": "str", "default": "running"},
    "wait_timeout": {"type": "int", "default": 600},
    "check_key": {"type": "bool"},
    "ssh_config": {"type": "path"},
    "ssh_user": {"type": "str", "default": "root"},
    "ssh_args": {"type": "list", "elements": "str", "default": []},
    "ssh_address": {
        "type": "list",
        "elements": "str",
        "default": ["primary", "external", "internal"],
    },
    "ssh_jump_host": {"type": "str"},
    "ssh_known_hosts": {"type": "path"},
    "ssh_refused_timeout": {"type": "int", "default": 60},
    "purge_tags": {"type": "bool", "default": False},
    "attach_networks": {"type": "bool", "default": False},
    "count_stopped": {"type": "bool", "default": True},
    "scale_in": {
        "type": "str",
        "default": "newest",
        "choices": ["newest", "oldest", "highest_index"],
    },
    "protect": {"type": "list", "elements": "str", "default": []},
    "max_delete": {"type": "int"},
    "max_count": {"type": "int", "default": 5000},
    "stop_first": {"type": "bool", "default": True},
    "parallel": {"type": "int", "default": 10},
}
