"""Every route with values that nobody thought of: never an error of the server's own, and
nothing has changed after a call that was refused.

Always the same examples, so that a failure can be looked at; FUZZ_EXAMPLES=500 tries more.
"""

from __future__ import annotations

import http.client
import json
import os
from dataclasses import dataclass
from email.utils import formatdate
from urllib.parse import quote, quote_from_bytes, urlencode

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from localdc.api.accounts import rbac
from localdc.api.catalogue import networks
from localdc.api.routes import ROUTES
from localdc.api.routes.settings import SETTINGS

from .harness import ADMIN, BASE64, Running
from .signer import Key

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "15"))
EXTERNAL, INTERNAL = (network.id for network in networks())
UNKNOWN = "00000000-0000-4000-8000-000000000000"
SPARE = Key("ed25519").line
VLANS = "/:account/fabrics/default/vlans"
MACHINE = "/:account/machines/:machine"
SUBNET = {"subnet": "192.168.8.0/24", "provision_start_ip": "192.168.8.5"}
SUBNET |= {"provision_end_ip": "192.168.8.9", "gateway": "192.168.8.1"}
USER = {"login": "carol", "email": "c@d.e", "password": "secret123", "companyName": "C"}
ROLE = {"name": "r", "members": [{"type": "subuser", "login": "bobby", "default": True}]}
ROLE["policies"] = [{"name": "p"}]
RULE = {"rule": "FROM any TO all vms ALLOW tcp PORT 80", "enabled": True, "log": False}
FAULT = {"kind": "provision_delay", "machine": "x*", "count": 1, "seconds": 0.5, "reason": "r"}
ALL = {
    "name": "x-{{shortId}}",
    "image": BASE64,
    "dataset": BASE64,
    "package": "sample-512M",
    "networks": [INTERNAL],
    "tag.role": "web",
    "metadata.a": "b",
    "metadata.credentials": {"root": "secret"},
    "affinity": ["role!=~web"],
    "firewall_enabled": False,
    "deletion_protection": False,
    "volumes": [{"name": "data", "mountpoint": "/data", "mode": "ro"}],
    "password": "secret",
    "brand": "",
    "encrypted": False,
    "delegate_dataset": False,
    "credentials": True,
}
GOOD: dict[tuple[str, str], dict[str, object]] = {
    ("POST", "/:account"): {
        "email": "a@b.c", "phone": "5", "companyName": "x", "triton_cns_enabled": "true",
    },
    ("PUT", "/:account/config"): {"default_network": INTERNAL},
    ("POST", "/:account/keys"): {"name": "k", "key": Key("ed25519").line},
    ("POST", "/:account/users/:user/keys"): {"name": "k", "key": Key("ed25519").line},
    ("GET", "/:account/keys"): {"sync": "true"},
    ("POST", "/:account/users"): USER,
    ("POST", "/:account/users/:user"): USER,
    ("GET", "/:account/users/:user"): {"membership": "true"},
    ("POST", "/:account/users/:user/change_password"): {
        "password": "secret123", "password_confirmation": "secret123",
    },
    ("POST", "/:account/roles"): ROLE,
    ("POST", "/:account/roles/:role"): ROLE,
    ("POST", "/:account/policies"): {"name": "q", "rules": ["CAN x *"], "description": "d"},
    ("POST", "/:account/policies/:policy"): {"name": "q", "rules": ["CAN x *"]},
    ("GET", "/:account/machines"): {
        "name": "w", "state": "running", "type": "smartmachine", "brand": "joyent", "limit": "5",
        "image": BASE64, "memory": "512", "docker": "false", "offset": "1", "tombstone": "1",
        "tag.role": "web", "credentials": "true", "tags": "*",
    },
    ("POST", "/:account/machines"): ALL,
    ("GET", MACHINE): {"credentials": "true"},
    ("POST", MACHINE): {"action": "rename", "name": "y", "package": "sample-512M"},
    ("POST", f"{MACHINE}/tags"): {"a": "b", "n": 5, "t": True, "triton.cns.services": "web"},
    ("PUT", f"{MACHINE}/tags"): {"a": "b", "triton.cns.disable": True},
    ("GET", f"{MACHINE}/metadata"): {"credentials": "true"},
    ("POST", f"{MACHINE}/metadata"): {"a": "b", "root_pw": "x", "credentials": {"root": "x"}},
    ("POST", f"{MACHINE}/nics"): {"network": INTERNAL, "primary": True},
    ("POST", f"{MACHINE}/snapshots"): {"name": "s"},
    ("POST", "/:account/fwrules"): RULE,
    ("POST", "/:account/fwrules/:rule"): {**RULE, "description": "d"},
    ("PUT", "/:account/fwrules/:rule"): RULE,
    ("GET", "/:account/networks"): {"fabric": "true"},
    ("GET", "/:account/networks/:network/ips"): {"limit": "5", "offset": "1"},
    ("PUT", "/:account/networks/:network/ips/:ip"): {"reserved": True},
    ("POST", VLANS): {"vlan_id": 9, "name": "nine", "description": "d"},
    ("PUT", f"{VLANS}/:vlan"): {"name": "ten", "description": "d"},
    ("POST", f"{VLANS}/:vlan/networks"): {
        "name": "net", **SUBNET, "resolvers": ["8.8.8.8"], "routes": {"10.1.0.0/16": "192.168.8.2"},
        "internet_nat": False, "description": "d",
    },
    ("PUT", f"{VLANS}/:vlan/networks/:network"): {
        "name": "met", "provision_end_ip": "192.168.7.8", "resolvers": [], "routes": {},
    },
    ("GET", "/:account/volumes"): {
        "name": "d*", "size": "10240", "state": "ready", "type": "tritonnfs",
        "predicate": '{"and": [{"eq": ["name", "data"]}]}',
    },
    ("POST", "/:account/volumes"): {
        "type": "tritonnfs", "name": "vol", "size": 10240, "tags": {"a": "b"},
        "affinity": ["instance!=~x"],
    },
    ("POST", "/:account/volumes/:volume"): {"name": "low"},
    ("GET", "/:account/volumesizes"): {"type": "tritonnfs"},
    ("GET", "/:account/images"): {"name": "b*", "os": "smartos", "state": "all", "public": "true"},
    ("GET", "/:account/packages"): {"name": "s*", "memory": "512", "flexible_disk": "false"},
    ("POST", "/--admin/faults"): FAULT,
    ("PUT", "/--admin/settings"): {
        "throttle": {"burst": 30, "rate": 10.0}, "throttle_status": 429, "provision_seconds": 0.1,
        "keys_cache_seconds": 60, "lists_cache_seconds": 5, "change_seconds": [0, 0.1],
        "public_pool": False, "bad_day": {"seed": 7, "failing": 0.1, "reboot_seconds": 0.1},
         "compute_nodes": 2,
    },
    ("POST", "/--admin/accounts"): {"login": "other", "key": Key("ed25519").line},
    ("PUT", "/--admin/accounts/:login/limits"): {"limits": [{"by": "ram", "value": 10**6}]},
    ("PUT", "/--admin/accounts/:login/disabled"): {"disabled": False},
}  # fmt: skip
"""What routes take: the examples are made of it by changing, leaving out and adding."""

WORDS = [
    *("", " ", "true", "True", "maybe", "0", "-1", "1e999", "NaN", "9" * 30, "null", "[", "{}"),
    *("*", "%", "'", '"', "\\", "../..", "a/b", "\x00", "\u00e9\u4e2d", "\U0001f600", "x" * 300),
    *("web", "acme", "my", "running", UNKNOWN, UNKNOWN.upper(), "192.168.7.6", "10.0.0.0/8"),
    *("tritonnfs", "administrator", "sdc:uuid", "docker:x", "triton.x", "local", "[" * 2000),
]
NUMBERS = ["1e999", "-1e999", "1" + "0" * 400, "1e308", "-0", "0", "1", "-1", "1.5", "4095"]
NUMBERS += ["9007199254740993", "18446744073709551616", "1e-400"]
ODD_JSON = ["NaN", "Infinity", '"\\ud800"', '"\\u0000"', "[" * 1500 + "]" * 1500, "", "{", '{"a":1']

scalars = st.one_of(
    st.sampled_from(["null", "true", "false"]),
    st.sampled_from(NUMBERS),
    st.sampled_from(WORDS).map(json.dumps),
    st.text(max_size=12).map(json.dumps),
)
fragments = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{','.join(items)}]"),
        st.dictionaries(st.sampled_from(["name", "id", "ipv4_uuid", "near", ""]), inner, max_size=2)
        .map(lambda items: ",".join(f"{json.dumps(k)}:{v}" for k, v in items.items()))
        .map(lambda text: f"{{{text}}}"),
    ),
    max_leaves=4,
)
"""Texts of JSON, also such as no parser of Python would write."""
raw = st.one_of(st.sampled_from(WORDS).map(str.encode), st.binary(max_size=12))
HEADERS = st.dictionaries(
    st.sampled_from(
        ["Accept", "Accept-Version", "Content-MD5", "Role-Tag", "X-Api-Version", "Host", "X-Date"]
    ),
    st.sampled_from(["*/*", "text/plain", "text/plain;q=x", "~8||~9", "~7.0", "9", "nope", "\xe9"]),
    max_size=1,
)


@dataclass(frozen=True)
class Sent:
    method: str
    target: str
    body: bytes
    headers: dict[str, str]


class Client:
    """Sends what it is told, signed; the signature covers the date alone."""

    def __init__(self, dc, key):
        self.dc = dc
        date = formatdate(usegmt=True)
        signature = key.sign("ed25519-sha512", f"date: {date}")
        self.signed = {
            "Date": date,
            "Authorization": f'Signature keyId="/acme/keys/{key.md5}",algorithm="ed25519-sha512",'
            f'signature="{signature}"',
        }
        self.connection = http.client.HTTPConnection("127.0.0.1", dc.port, timeout=30)

    def send(self, sent):
        admin = {"Authorization": f"Bearer {ADMIN}"}
        headers = {**(admin if "/--admin" in sent.target else self.signed), **sent.headers}
        connection = self.connection
        connection.putrequest(sent.method, sent.target, skip_host="Host" in headers)
        for name, value in headers.items():
            connection.putheader(name, value.encode("latin-1"))
        connection.putheader("Content-Length", str(len(sent.body)))
        connection.endheaders(sent.body)
        answer = connection.getresponse()
        body = answer.read()
        if answer.will_close:
            connection.close()
        return answer.status, body


class World:
    """A data center with a thing of each kind, and what paths may call them."""

    def __init__(self, path):
        key = Key("ed25519")
        self.dc = Running(path, key)
        self.client = Client(self.dc, key)
        self.known = {
            "account": ["my", "acme"],
            "network": [EXTERNAL],
            "ip": ["192.168.7.6", "10.99.0.9"],
            "image": [BASE64],
            "package": ["sample-512M"],
            "login": ["acme"],
            "datacenter": ["localdc"],
            **{name: [name] for name in ("key", "snapshot", "tag", "fault")},
            "vlan": ["7"],
        }
        self._fill()

    def _fill(self):
        make, known = self._make, self.known
        lan = {name: value.replace(".8.", ".7.") for name, value in SUBNET.items()}
        make("/my/fabrics/default/vlans", vlan_id=7, name="seven")
        known["network"].append(
            make("/my/fabrics/default/vlans/7/networks", name="lan", **lan)["id"]
        )
        body = {"name": "web", "image": BASE64, "package": "sample-512M", "tag.tag": "x"}
        machine = make("/my/machines", **body)["id"]
        known["machine"] = [machine]
        known["rule"] = [make("/my/fwrules", **RULE)["id"]]
        known["volume"] = [make("/my/volumes", type="tritonnfs", name="data")["id"]]
        known["user"] = [make("/my/users", **{**USER, "login": "bobby"})["id"]]
        known["policy"] = [make("/my/policies", name="p", rules=["CAN y *"])["id"]]
        known["role"] = [make("/my/roles", **{**ROLE, "name": "ops"})["id"]]
        known["accesskey"] = [make("/my/accesskeys")["accesskeyid"]]
        known["item"] = [machine, *known["user"], BASE64, "first"]
        make(f"/my/machines/{machine}/snapshots", name="snapshot")
        make("/my/keys", name="key", key=SPARE)
        make(f"/my/users/{known['user'][0]}/keys", name="key", key=SPARE)
        _, nics = self.client.send(Sent("GET", f"/my/machines/{machine}/nics", b"", {}))
        known["mac"] = [nic["mac"].replace(":", "") for nic in json.loads(nics)]

    def _make(self, path, **body):
        sent = Sent("POST", path, json.dumps(body).encode(), {"Content-Type": "application/json"})
        status, answer = self.client.send(sent)
        assert status in (200, 201), answer
        self.dc.settle()
        return json.loads(answer)

    def stop(self):
        self.client.connection.close()
        self.dc.stop()


@pytest.fixture(scope="module")
def worlds(tmp_path_factory):
    """Makes a world anew where one has lost what others need."""
    made = []

    def world(spoiled):
        if spoiled and made:
            made.pop().stop()
        if not made:
            made.append(World(tmp_path_factory.mktemp("fuzz") / "state.db"))
        return made[0]

    yield world
    for last in made:
        last.stop()


SPOILING = []
"""Whether a route before this one took something away."""


@pytest.fixture
def world(worlds):
    spoiled = bool(SPOILING)
    SPOILING.clear()
    return worlds(spoiled)


def body_text(fields):
    return "{" + ",".join(f"{json.dumps(name)}:{text}" for name, text in fields.items()) + "}"


CHANCES = st.randoms(use_true_random=True)
"""Choices that are evenly spread; hypothesis seeds them, and so they are the same every time."""
MORE = ["role-tag", "as-role", "action", "name", "tag.", "x", "locality", "disks", "networks"]


def seldom(chances):
    return chances.randrange(7) == 0


def fields(draw, chances, good):
    """Fields and their JSON: of what the route takes, a few changed, left out or added."""
    wanted = {name: json.dumps(value) for name, value in good.items()}
    for name in chances.sample(sorted(good), min(len(good), chances.randrange(3))):
        wanted[name] = draw(fragments)
    if good and seldom(chances):
        wanted.pop(chances.choice(sorted(good)))
    if seldom(chances):
        wanted[chances.choice(MORE)] = draw(fragments)
    return wanted


def path_of(draw, chances, pattern, known):
    """A path of this pattern, with names of things that there are, or of others."""
    parts = []
    for word in pattern.split("/"):
        if not word.startswith(":"):
            parts.append(quote(word, safe="-"))
        elif word[1:] in known and not seldom(chances):
            parts.append(quote(chances.choice(known[word[1:]]), safe=""))
        else:
            parts.append(quote_from_bytes(draw(raw) or b"-", safe=""))
    return "/".join(parts)


@st.composite
def requests(draw, route, known):
    chances = draw(CHANCES)
    target = path_of(draw, chances, route.pattern, known)
    headers = draw(HEADERS) if seldom(chances) else {}
    wanted = fields(draw, chances, GOOD.get((route.method, route.pattern), {}))
    form = {n: json.loads(t) if t.startswith('"') else t for n, t in wanted.items()}
    encoded = urlencode(form, errors="replace")
    if route.method == "GET" or seldom(chances):
        again = encoded.partition("&")[0] if seldom(chances) else ""
        return Sent(route.method, f"{target}?{encoded}&{again}", b"", headers)
    kind, body = "application/json", body_text(wanted).encode()
    if seldom(chances):
        kind, body = "application/x-www-form-urlencoded", encoded.encode()
    elif seldom(chances):
        body = draw(st.one_of(st.sampled_from(ODD_JSON).map(str.encode), st.binary(max_size=40)))
        kind = chances.choice(["application/json", "text/plain", "multipart/form-data; boundary=x"])
    return Sent(route.method, target, body, {"Content-Type": kind, **headers})


class Memory:
    """What the data center keeps, on disk and beside it; looked at only where it may differ."""

    def __init__(self, dc):
        self.dc = dc
        self.last = self.read()

    def read(self):
        async def read():
            center = self.dc.app.state.center
            kept = [fault.view() for fault in center.faults.ordered()]
            kept += [setting.read(center) for setting in SETTINGS.values()]
            return kept, list(center.store.db.iterdump())

        return self.dc.run(read())

    def changes(self):
        """How many rows were ever written, also in transactions that were rolled back."""

        async def count():
            return self.dc.app.state.center.store.db.total_changes

        return self.dc.run(count())

    def restore(self, client):
        """Undo what calls of the owner did that stand in the way of further calls."""
        center = self.dc.app.state.center
        plain = {"bad_day": False, "throttle": None, "throttle_status": 429, "compute_nodes": 3}
        plain |= {"provision_seconds": 0.0, "change_seconds": None}
        content = {"Content-Type": "application/json"}
        for method, path, body in (
            ("DELETE", "faults", None),
            ("PUT", "settings", plain),
            ("PUT", "accounts/acme/disabled", {"disabled": False}),
            ("PUT", "accounts/acme/limits", {"limits": []}),
        ):
            text = b"" if body is None else json.dumps(body).encode()
            status, answer = client.send(Sent(method, f"/--admin/{path}", text, content))
            assert status < 300, answer
        assert center.faults.ordered() == []


NOTHING = {
    *("/:account/accesskeys", f"{MACHINE}/snapshots/:snapshot", f"{MACHINE}/migrate"),
    *("/:account/fwrules/:rule/enable", "/:account/fwrules/:rule/disable"),
    *(f"{MACHINE}/disks", f"{MACHINE}/disks/:item", "/:account/images", "/:account/images/:image"),
    *rbac.ROLE_TAG_PATTERNS,
}
"""Routes that take nothing but what every one may be sent."""


def test_every_route_that_takes_something_is_known():
    """A route of whose parameters nobody has told would be tried with few."""
    routes = {(route.method, route.pattern) for route in ROUTES}
    changing = {(method, pattern) for method, pattern in routes if method in ("POST", "PUT")}
    assert GOOD.keys() <= routes
    assert {pattern for _, pattern in changing - GOOD.keys()} <= NOTHING


@pytest.mark.parametrize(
    "route", ROUTES, ids=[f"{route.method} {route.pattern}" for route in ROUTES]
)
def test_a_route_withstands_everything(world, route):
    client = world.client
    memory = Memory(world.dc)

    @settings(
        derandomize=True,
        database=None,
        # a smaller example would meet what the first one has left behind
        phases=[Phase.generate],
        deadline=None,
        max_examples=EXAMPLES,
        suppress_health_check=list(HealthCheck),
    )
    @given(sent=requests(route, world.known))
    def withstand(sent):
        before = memory.changes()
        status, body = client.send(sent)
        assert status != 500, (sent, body)
        if status < 400:
            if sent.method != "GET":
                world.dc.settle()
                SPOILING.append(route)
                if route.access == "admin":
                    memory.restore(client)
                memory.last = memory.read()
            return
        answer = json.loads(body)
        assert status == 410 or {"code", "message"} <= answer.keys(), (sent, answer)
        if memory.changes() != before or route.access == "admin":
            assert memory.read() == memory.last, (sent, status, answer)

    withstand()
