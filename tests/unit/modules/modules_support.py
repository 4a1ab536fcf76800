"""Modules run as Ansible runs them, and an embedded data center for them to talk to."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import importlib.util
import io
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import ansible.module_utils
import requests
import yaml
from ansible.module_utils.testing import patch_module_args
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from starlette.responses import JSONResponse

from embedded.served import Served
from localdc.api.catalogue import Pool, networks
from localdc.api.engine.records_only import RecordsCompute
from localdc.api.http.app import create_app
from localdc.api.routes import ROUTES
from localdc.api.settings import AccountKey, DataCenterSettings

ROOT = Path(__file__).resolve().parents[3]

if str(ROOT / "module_utils") not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(str(ROOT / "module_utils"))


EXTERNAL, INTERNAL = networks()
WEST = replace(
    EXTERNAL,
    id="a0000000-0000-4000-8000-000000000001",
    name="west",
    subnet="198.51.100.0/24",
    provision_start="198.51.100.5",
    provision_end="198.51.100.6",
    gateway="198.51.100.1",
)
"""Room for two machines."""
EAST = replace(
    WEST,
    id="a0000000-0000-4000-8000-000000000002",
    name="east",
    subnet="203.0.113.0/24",
    provision_start="203.0.113.5",
    provision_end="203.0.113.250",
    gateway="203.0.113.1",
)
PUBLIC = Pool("f0000000-0000-4000-8000-000000000001", "Public", (WEST.id, EAST.id))
PRIVATE = Pool("f0000000-0000-4000-8000-000000000002", "Private", (INTERNAL.id,))
ONE_POOL: dict[str, Any] = {"networks": (WEST, EAST, INTERNAL), "pools": (PUBLIC,)}
"""Settings of a data center whose public networks are a pool."""
TWO_POOLS: dict[str, Any] = {**ONE_POOL, "pools": (PUBLIC, PRIVATE)}
"""And its others, too, as in Triton's public cloud."""
NOT_AUTHORIZED = JSONResponse(
    {"code": "NotAuthorized", "message": "you shall not"}, status_code=403
)
MADE_BY_MODULES = {"deprecations", "exception", "invocation", "warnings"}
"""Reserved keys that the class AnsibleModule adds."""

OFFER = {"package": "sample-512M", "image": "base-64-lts"}
SELECTOR = {"cluster": "ipython"}
UNKNOWN = "5a4b5c3e-58a6-4ea9-a4a1-56ea4f4c3c1d"
"""An id that nothing has."""


class Result(dict[str, Any]):
    """What a module answered."""

    @property
    def msg(self) -> str:
        return str(self.get("msg", ""))


def load(name: str) -> Any:
    """A module of library/ as a Python module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "library" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def reserved_results() -> set[str]:
    """Keys of results that Ansible itself writes, or reads as its own.

    Of a task with `async` the module async_status makes them; with `started` among a module's own
    such a task never ends.
    """
    # not imported: in the controller's process modules give their warnings to it
    spec = importlib.util.find_spec("ansible.modules.async_status")
    assert spec and spec.origin
    text = Path(spec.origin).read_text().partition('RETURN = r"""')[2].partition('"""')[0]
    said = set(yaml.safe_load(text)) - {"stdout", "stderr"}
    engine = {"attempts", "deprecations", "exception", "invocation", "results", "results_file"}
    engine |= {"retries", "skipped", "unreachable", "warnings", "ansible_async_watchdog_pid"}
    return said | engine | {"add_group", "add_host"}


RESERVED = reserved_results()


def run_module(
    module_name: str, /, *, check: bool = False, expect: str = "ok", **arguments: Any
) -> Result:
    """Run a module in this process with JSON arguments; return its JSON answer.

    expect: `ok` or `fail`, what the module must end with; `any` leaves that open.
    """
    arguments |= {"_ansible_check_mode": check, "_ansible_diff": True}
    output = io.StringIO()
    with patch_module_args(arguments), contextlib.redirect_stdout(output):
        try:
            load(module_name).main()
        except SystemExit:
            pass
        else:
            raise AssertionError("the module did not exit")
    result = Result(json.loads(output.getvalue()))
    result["_text"] = output.getvalue()
    assert not (RESERVED - MADE_BY_MODULES) & set(result), output.getvalue()
    failed = bool(result.get("failed"))
    assert expect == "any" or failed == (expect == "fail"), output.getvalue()
    if failed:
        assert result.msg and "\n" not in result.msg, result.msg
        assert "Traceback" not in result.msg
    return result


def new_key(path: Path) -> tuple[str, str]:
    """Make an SSH key: its MD5 fingerprint, and its public line, which is in PATH.pub."""
    private = ed25519.Ed25519PrivateKey.generate()
    path.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    path.chmod(0o600)
    line = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    path.with_name(f"{path.name}.pub").write_text(f"{line}\n")
    digest = hashlib.md5(base64.b64decode(line.split()[1])).hexdigest()
    return ":".join(digest[i : i + 2] for i in range(0, 32, 2)), line


class Cloud(Served):
    """An embedded data center without zones, and a key for it."""

    def __init__(self, directory: Path, *, seconds: float = 0.0, **settings: Any) -> None:
        self.key_file = directory / "key"
        self.key_id, line = new_key(self.key_file)
        settings.setdefault("throttle", None)
        settings.setdefault("admin_token", "let-me-in")
        self.settings = DataCenterSettings(
            account="acme", keys=(AccountKey("k", line),), **settings
        )
        self.requests: list[tuple[str, str]] = []
        self.forbidden: list[tuple[str, str]] = []
        self.compute = RecordsCompute(provision_seconds=seconds)
        self.app = create_app(self.settings, directory / "state.db", self.compute, ROUTES)
        super().__init__(self._counting(self.app))

    def _counting(self, app: Any) -> Any:
        async def counted(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                self.requests.append((scope["method"], scope["path"]))
                for method, end in self.forbidden:
                    if scope["method"] == method and scope["path"].endswith(end):
                        await NOT_AUTHORIZED(scope, receive, send)
                        return
            await app(scope, receive, send)

        return counted

    def forbid(self, method: str, end: str) -> None:
        """Refuse calls whose path ends so, as to a sub-user without the right."""
        self.forbidden.append((method, end))

    def settle(self) -> None:
        """Return when no job is left to do."""
        done = self.app.state.center.engine.settle()
        asyncio.run_coroutine_threadsafe(done, self.loop).result(20)

    @property
    def access(self) -> dict[str, Any]:
        """Arguments that lead a module here."""
        return {
            "url": self.url,
            "account": "acme",
            "key_id": self.key_id,
            "key_file": str(self.key_file),
        }

    @property
    def environment(self) -> dict[str, str]:
        """The same as environment variables."""
        return {f"SDC_{name.upper()}": value for name, value in self.access.items()}

    def fault(self, **order: Any) -> None:
        self.app.state.center.faults.order(order)

    def admin(self, method: str, path: str, body: Any = None) -> requests.Response:
        """A call of the data center's owner (localdc/docs/admin.md)."""
        return requests.request(
            method,
            f"{self.url}/--admin/{path}",
            json=body,
            headers={"Authorization": "Bearer let-me-in"},
            timeout=20,
        )

    def lose(self, pattern: str) -> None:
        """Let machines vanish without trace."""
        answer = self.admin("POST", "faults", {"kind": "lost_machine", "machine": pattern})
        assert answer.json()["machines"], answer.text

    def client(self) -> Any:
        from smartdc.config import resolve

        return resolve(**self.access, env={}).connect(rate=None)

    def machines(self, **filters: Any) -> dict[str, dict[str, Any]]:
        """The account's machines by name."""
        with self.client() as client:
            return {m["name"]: m for m in client.list_machines(**filters)}

    def count(self, method: str, path: str = "") -> int:
        """Requests of one kind so far."""
        return sum(verb == method and path in where for verb, where in self.requests)


def without_settings() -> dict[str, str]:
    """The environment without anything that names a data center."""
    prefixes = ("SDC_", "TRITON_", "LOCALDC_")
    return {key: value for key, value in os.environ.items() if not key.startswith(prefixes)}


def cluster(engines: int) -> dict[str, Any]:
    """Options of sdc_machine for a controller and so many engines."""
    return {
        **OFFER,
        "selector": SELECTOR,
        "groups": [
            {"name": "ipython-controller", "selector": {"role": "controller"}},
            {
                "name": "ipython-engine-{index:03d}",
                "exact_count": engines,
                "selector": {"role": "engine"},
            },
        ],
    }


def names(result: Mapping[str, Any]) -> list[str]:
    """The names of the machines that a module answered."""
    return sorted(machine["name"] for machine in result["machines"])


def life(
    run: Any, module: str, kind: str, options: dict[str, Any], title: str
) -> Iterator[dict[str, Any]]:
    """Predicted, made, unchanged, predicted gone, gone, still gone."""
    predicted = run(module, check=True, **options)
    assert predicted["changed"] and predicted["diff"]["before"] == {}
    assert list(predicted["diff"]["after"]) == [title]
    made = run(module, **options)
    assert made["changed"] and made["diff"] == predicted["diff"]
    assert {**made[kind], **predicted[kind]} == made[kind]
    for check in (True, False):
        again = run(module, check=check, **options)
        assert not again["changed"] and again["diff"] == {"before": {}, "after": {}}
        assert again[kind] == made[kind]
    yield made[kind]
    gone = run(module, check=True, **options, state="absent")
    assert gone["changed"] and gone[kind] is None and list(gone["diff"]["before"]) == [title]
    assert not run(module, **options)["changed"], "check mode removed it"
    assert run(module, **options, state="absent")["changed"]
    assert not run(module, **options, state="absent")["changed"]


def refused(cloud: Cloud, run: Any, module: str, options: dict[str, Any]) -> None:
    """A refusal is a structured failure, and the next run does it."""
    closed = {"count": None, "reason": "closed", "retry_after": 600}
    cloud.fault(kind="unavailable", method="POST", path="*", **closed)
    failed = run(module, expect="fail", **options)
    assert failed["status"] == 503 and failed["code"] and failed["request_id"]
    cloud.app.state.center.faults.withdraw()
    assert run(module, **options)["changed"]
    assert run(module, **options, state="absent")["changed"]
    wrong = run(module, expect="fail", **options, account="nobody")
    assert wrong["code"] == "InvalidCredentials" and wrong["status"] == 401
