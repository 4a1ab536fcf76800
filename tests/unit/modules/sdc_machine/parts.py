"""What the parts of sdc_machine are made of in tests that need no data center."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.sdc.machine.options import OPTIONS
from ansible.module_utils.sdc.machine.specification import Specification
from ansible.module_utils.sdc.offers import Offers

from smartdc.raw import has_tags

IMAGE = "2f1dc911-6401-4fa4-8e9d-67ea2e39c271"


class Account:
    """A CloudAPI that only answers: these machines, and two packages, an image and a network."""

    def __init__(self, *machines: dict[str, Any]) -> None:
        self.machines = machines

    def list_machines(
        self, name: str | None = None, tags: Any = None, **_: Any
    ) -> list[dict[str, Any]]:
        named = [m for m in self.machines if name in (None, m["name"])]
        return [machine for machine in named if has_tags(machine, tags or {})]

    def list_packages(self) -> list[dict[str, Any]]:
        sizes = {"small": 512, "large": 1024}
        return [{"id": f"id-{n}", "name": n, "memory": size} for n, size in sizes.items()]

    def list_images(self, **_: Any) -> list[dict[str, Any]]:
        return [{"id": IMAGE, "name": "base-64-lts", "version": "24.4.1"}]

    def list_networks(self) -> list[dict[str, Any]]:
        return [{"id": "id-net", "name": "external"}]


def specification(api: Account | None = None, **options: Any) -> Specification:
    """What a task with these options specifies; the others have their defaults."""
    defaults = {name: option.get("default") for name, option in OPTIONS.items()}
    return Specification({**defaults, **options}, Offers(api or Account()))


def machine(name: str, state: str = "running", **more: Any) -> dict[str, Any]:
    """A machine of the cluster x, as CloudAPI describes it."""
    tags = {"cluster": "x", "role": "engine"}
    described = {"id": f"id-{name}", "name": name, "state": state, "package": "small"}
    return {**described, "image": IMAGE, "tags": tags, "metadata": {}, **more}
