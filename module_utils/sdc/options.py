"""Options that several CloudAPI modules have; their documentation is in plugins/doc_fragments."""

from __future__ import annotations

from typing import Any

ACCESS: dict[str, Any] = {
    "profile": {"type": "str"},
    "url": {"type": "str"},
    "account": {"type": "str"},
    "user": {"type": "str"},
    "key_id": {"type": "str", "no_log": False},
    "key_file": {"type": "path", "no_log": False},
    "insecure": {"type": "bool"},
}

LOOKING: dict[str, Any] = {
    "name": {"type": "str"},
    "missing_ok": {"type": "bool", "default": False},
}

WAITING: dict[str, Any] = {
    "wait": {"type": "bool", "default": True},
    # jobs of 300 s, which wait for others 120 s (vmapi, workflows/*.js); a volume is made with
    # a machine of its own (volapi)
    "wait_timeout": {"type": "int", "default": 600},
}
