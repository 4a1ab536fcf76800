"""A small CloudAPI on loopback that checks signatures by itself and fails on demand.

Written from the CloudAPI documentation and the http-signature draft, not from the client.
"""

from __future__ import annotations

import base64
import email.utils
import hashlib
import json
import os
import re
import ssl
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

HASHES = {"sha1": hashes.SHA1, "sha256": hashes.SHA256, "sha512": hashes.SHA512}


class VirtualTime:
    """Seconds that pass only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def colons(digest: str) -> str:
    return ":".join(re.findall("..", digest))


class Refused(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.answer = (status, {"code": code, "message": message}, {})


class FakeCloud:
    """State of the fake data center; every request is noted in ``requests``."""

    def __init__(self) -> None:
        self.keys: dict[str, Any] = {}
        self.key_owner: dict[str, str] = {}
        self.machines: dict[str, dict[str, Any]] = {}
        self.requests: list[tuple[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.connections = 0
        self.images = [
            image("base-64-lts", "23.4.0", "2024-01-01T00:00:00Z"),
            image("base-64-lts", "24.4.1", "2025-01-10T00:00:00Z"),
            image("minimal-64-lts", "24.4.1", "2025-01-09T00:00:00Z"),
        ]
        self.networks = [{"id": "n1", "name": "external", "public": True}]
        self.provision_polls = 1
        self.fault: Callable[[FakeHandler], bool] | None = None
        self.skew_limit = 300.0
        self.lock = threading.Lock()

    def allow(self, key_id: str, public: Any) -> str:
        """Accept a public key under /account/keys/<its MD5> and under ``key_id`` (a path)."""
        line = public.public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )
        blob = base64.b64decode(line.split()[1])
        fingerprint = colons(hashlib.md5(blob).hexdigest())
        self.keys[key_id] = public
        self.keys[key_id.rpartition("/")[0] + "/" + fingerprint] = public
        return fingerprint

    def verify(self, handler: FakeHandler) -> None:
        header = handler.headers.get("Authorization", "")
        scheme, _, rest = header.partition(" ")
        if scheme != "Signature":
            raise Refused(401, "InvalidCredentials", "You must make authenticated requests")
        params = dict(re.findall(r'([a-zA-Z]+)="([^"]*)"', rest))
        date = handler.headers.get("Date", "")
        skew = abs(time.time() - email.utils.parsedate_to_datetime(date).timestamp())
        if skew > self.skew_limit:
            raise Refused(
                400,
                "InvalidHeader",
                f"Authorization header invalid: clock skew of {skew:.1f}s was greater than 300s",
            )
        lines = []
        for name in params["headers"].split(" "):
            if name == "(request-target)":
                lines.append(f"{name}: {handler.command.lower()} {handler.path}")
            else:
                lines.append(f"{name}: {handler.headers[name]}")
        public = self.keys.get(params["keyId"])
        bad = Refused(401, "InvalidCredentials", "Invalid authorization credentials supplied")
        if public is None or "date" not in params["headers"]:
            raise bad
        try:
            check(public, params["algorithm"], "\n".join(lines), params["signature"])
        except InvalidSignature:
            raise bad from None

    def describe(self, machine: dict[str, Any]) -> dict[str, Any]:
        with self.lock:
            polls = machine["_polls"]
            machine["_polls"] = max(0, polls - 1)
            if polls == 0 and machine["_next"]:
                machine["state"], machine["_next"] = machine["_next"], None
                if machine["state"] == "running" and not machine["ips"]:
                    machine["ips"] = ["203.0.113.7", "10.99.0.7"]
                    machine["primaryIp"] = "203.0.113.7"
        return {k: v for k, v in machine.items() if not k.startswith("_")}

    def add(self, **fields: Any) -> dict[str, Any]:
        ident = str(uuid.uuid4())
        machine = {
            "id": ident,
            "name": ident[:8],
            "type": "smartmachine",
            "brand": "joyent",
            "state": "running",
            "image": self.images[1]["id"],
            "ips": [],
            "networks": [],
            "memory": 512,
            "disk": 10240,
            "metadata": {"root_authorized_keys": "ssh-rsa AAAA\n"},
            "tags": {},
            "package": "Extra Small 512 MB",
            "created": "2016-01-04T12:55:50.539Z",
            "updated": "2016-01-04T12:55:50.539Z",
            "_next": None,
            "_polls": 0,
            **fields,
        }
        self.machines[ident] = machine
        return machine


def image(name: str, version: str, published: str) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid5(uuid.NAMESPACE_DNS, name + version)),
        "name": name,
        "version": version,
        "os": "smartos",
        "type": "zone-dataset",
        "published_at": published,
        "state": "active",
        "public": True,
        "description": f"SmartOS {name}",
    }


def check(public: Any, algorithm: str, text: str, signature: str) -> None:
    kind, _, digest = algorithm.partition("-")
    raw, data = base64.b64decode(signature), text.encode()
    if kind == "rsa" and isinstance(public, rsa.RSAPublicKey):
        public.verify(raw, data, padding.PKCS1v15(), HASHES[digest]())
    elif kind == "ecdsa" and isinstance(public, ec.EllipticCurvePublicKey):
        public.verify(raw, data, ec.ECDSA(HASHES[digest]()))
    elif algorithm == "ed25519-sha512" and isinstance(public, ed25519.Ed25519PublicKey):
        public.verify(raw, data)
    else:
        raise InvalidSignature


class FakeHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    # one write per answer, as a real server does it
    wbufsize = -1
    cloud: FakeCloud

    def setup(self) -> None:
        self.cloud.connections += 1
        super().setup()

    def log_message(self, *args: Any) -> None:
        pass

    def handle_any(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length) if length else b""
        with self.cloud.lock:
            self.cloud.requests.append((self.command, self.path))
            self.cloud.headers.append(dict(self.headers.items()))
        if self.cloud.fault and self.cloud.fault(self):
            return
        try:
            parts = urlsplit(self.path)
            if parts.path != "/--ping":
                self.cloud.verify(self)
            answer = self.route(parts.path, parse_qsl(parts.query))
        except Refused as refused:
            answer = refused.answer
        self.answer(*answer)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = handle_any

    def answer(self, status: int, body: Any = None, headers: dict[str, str] | None = None) -> None:
        raw = b"" if body is None else json.dumps(body).encode()
        self.send_response_only(status)
        extra = {"Content-Type": "application/json"} if raw else {}
        extra |= {
            "Date": email.utils.formatdate(usegmt=True),
            "Request-Id": "11111111-2222-3333-4444-555555555555",
            "Content-Length": str(len(raw)),
            **(headers or {}),
        }
        for name, value in extra.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(raw)
        self.wfile.flush()

    def route(self, path: str, query: list[tuple[str, str]]) -> tuple[int, Any, dict[str, str]]:
        parts = [unquote(p) for p in path.strip("/").split("/")]
        params = dict(query)
        if parts == ["--ping"]:
            return 200, {"ping": "pong", "cloudapi": {"versions": ["9.0.0"]}}, {}
        if len(parts) == 1:
            return 200, {"id": str(uuid.uuid4()), "login": "acme", "email": "a@b.c"}, {}
        simple = {
            "images": self.cloud.images,
            "packages": [
                {"id": "p1", "name": "Extra Small 512 MB", "memory": 512, "default": True}
            ],
            "networks": self.cloud.networks,
            "datacenters": {"dc2": f"http://{self.headers['Host']}"},
            "keys": [],
        }
        if parts[1] in simple and len(parts) == 2:
            return 200, simple[parts[1]], {}
        if parts[1:] == ["networks", "n1", "ips"]:
            # so n1 is no pool
            return 200, [], {}
        if parts[1] == "machines":
            return self.machines(parts[2:], params)
        raise Refused(404, "ResourceNotFound", f"{path} does not exist")

    def machines(self, rest: list[str], params: dict[str, str]) -> tuple[int, Any, dict[str, str]]:
        cloud = self.cloud
        if not rest and self.command == "POST":
            return self.create(json.loads(self.body))
        if not rest:
            found = [m for m in cloud.machines.values() if m["state"] != "deleted"]
            for key, value in params.items():
                if key.startswith("tag."):
                    found = [m for m in found if str(m["tags"].get(key[4:])) == value]
                elif key in ("name",):
                    found = [m for m in found if m["name"].startswith(value)]
            offset, limit = int(params.get("offset", 0)), int(params.get("limit", 1000))
            page = [cloud.describe(m) for m in found[offset : offset + limit]]
            headers = {"x-query-limit": str(limit), "x-resource-count": str(len(page))}
            return 200, page, headers
        machine = cloud.machines.get(rest[0])
        if machine is None:
            raise Refused(404, "ResourceNotFound", "VM not found")
        if len(rest) == 1:
            return self.one(machine, params)
        return self.part(machine, rest[1:])

    def create(self, body: dict[str, Any]) -> tuple[int, Any, dict[str, str]]:
        if "image" not in body:
            raise Refused(409, "MissingParameter", "image must be specified")
        machine = self.cloud.add(
            state="provisioning",
            image=body["image"],
            package=body.get("package", ""),
            tags={k[4:]: v for k, v in body.items() if k.startswith("tag.")},
            metadata={k[9:]: v for k, v in body.items() if k.startswith("metadata.")},
            _next="running",
            _polls=self.cloud.provision_polls,
        )
        if body.get("name"):
            machine["name"] = body["name"]
        public = {k: v for k, v in machine.items() if not k.startswith("_")}
        return 201, public, {"Location": f"/acme/machines/{machine['id']}"}

    def one(self, machine: dict[str, Any], params: dict[str, str]) -> tuple[int, Any, Any]:
        if machine["state"] == "deleted":
            return 410, self.cloud.describe(machine), {}
        if self.command == "GET":
            return 200, self.cloud.describe(machine), {}
        if self.command == "DELETE":
            machine["state"], machine["_next"] = "deleted", None
            return 204, None, {}
        action = params.get("action") or dict(parse_qsl(self.body.decode())).get("action")
        if action in ("stop", "start", "reboot"):
            machine["state"] = {"stop": "stopping", "start": "provisioning", "reboot": "ready"}[
                action
            ]
            machine["_next"] = "stopped" if action == "stop" else "running"
            machine["_polls"] = self.cloud.provision_polls
        elif action == "rename":
            machine["name"] = params["name"]
        elif action == "resize":
            machine["package"] = params["package"]
        else:
            raise Refused(409, "InvalidArgument", f"{action} is not a valid action")
        return 202, None, {}

    def part(self, machine: dict[str, Any], rest: list[str]) -> tuple[int, Any, Any]:
        if rest[0] == "snapshots":
            body = {"name": "s1", "state": "queued"}
            return (201, body, {}) if self.command == "POST" else (200, [body], {})
        box = machine[rest[0]]
        if self.command == "GET":
            return 200, box, {}
        if self.command in ("POST", "PUT"):
            if self.command == "PUT":
                box.clear()
            box.update(json.loads(self.body))
            return 200, box, {}
        if len(rest) == 1:
            box.clear()
        elif box.pop(rest[1], None) is None:
            raise Refused(404, "ResourceNotFound", f"{rest[0]} {rest[1]} not found")
        return 204, None, {}


def write_key(
    path: Path, key: Any, *, fmt: str = "openssh", password: bytes | None = None, pub: bool = False
) -> Path:
    formats = {
        "openssh": serialization.PrivateFormat.OpenSSH,
        "pkcs8": serialization.PrivateFormat.PKCS8,
        "traditional": serialization.PrivateFormat.TraditionalOpenSSL,
    }
    encryption: Any = (
        serialization.BestAvailableEncryption(password)
        if password
        else serialization.NoEncryption()
    )
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, formats[fmt], encryption))
    path.chmod(0o600)
    if pub:
        line = key.public_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )
        path.with_name(path.name + ".pub").write_bytes(line + b" comment\n")
    return path


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *args: Any) -> None:
        pass


@contextmanager
def serving(cloud: FakeCloud, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """The fake data center's base URL, while it is up."""
    handler = type("Handler", (FakeHandler,), {"cloud": cloud})
    server = _Server(("127.0.0.1", 0), handler)
    if tls:
        server.socket = tls.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def ssh_add(sock: str, *args: str, env: dict[str, str] | None = None) -> None:
    directory, name = os.path.split(sock)
    subprocess.run(
        ["ssh-add", *args],
        check=True,
        cwd=directory,
        env={**os.environ, "SSH_AUTH_SOCK": name, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )
