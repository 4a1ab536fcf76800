"""Values of the wrong kind, or too large: refused by name, and nothing has changed."""

import math

import pytest
import requests

from localdc.api.errors import ApiError
from localdc.api.values import boolean, flag, integer, json_boolean, json_number, text

from .harness import BASE64, Running, error

UNKNOWN = "00000000-0000-4000-8000-000000000000"
HUGE = ["1e999", "-1e999", "1" + "0" * 400, '[1, {"deep": 1e400}]']
MACHINE = {"name": "web", "image": BASE64, "package": "sample-512M"}
RULE = "FROM any TO all vms ALLOW tcp PORT 80"


@pytest.fixture(scope="module")
def made(tmp_path_factory, key):
    """A data center with one thing of each kind, and the paths of these things."""
    dc = Running(tmp_path_factory.mktemp("values") / "state.db", key)
    vlans = "/my/fabrics/default/vlans"
    dc.post(vlans, json={"vlan_id": 7, "name": "seven"})
    network = {
        "name": "lan",
        "subnet": "192.168.7.0/24",
        "provision_start_ip": "192.168.7.5",
        "provision_end_ip": "192.168.7.9",
    }
    network = dc.post(f"{vlans}/7/networks", json=network).json()["id"]
    user = {"login": "bobby", "email": "b@c.d", "password": "secret123"}
    paths = {
        "account": "/my",
        "config": "/my/config",
        "machines": "/my/machines",
        "machine": f"/my/machines/{dc.create('web')}",
        "keys": "/my/keys",
        "rules": "/my/fwrules",
        "rule": f"/my/fwrules/{dc.post('/my/fwrules', json={'rule': RULE}).json()['id']}",
        "vlans": vlans,
        "vlan": f"{vlans}/7",
        "networks": f"{vlans}/7/networks",
        "network": f"{vlans}/7/networks/{network}",
        "ip": f"/my/networks/{network}/ips/192.168.7.6",
        "volumes": "/my/volumes",
        "users": "/my/users",
        "user": f"/my/users/{dc.post('/my/users', json=user).json()['id']}",
        "roles": "/my/roles",
        "policies": "/my/policies",
    }
    paths |= {name: f"{paths['machine']}/{name}" for name in ("tags", "metadata", "nics")}
    paths["snapshots"] = f"{paths['machine']}/snapshots"
    yield dc, paths
    dc.stop()


def dump(dc):
    """Everything that the data center keeps."""
    return list(dc.run(_dump(dc.app.state.center.store.db)))


async def _dump(db):
    return list(db.iterdump())


WRONG = [
    ("POST", "account", {"triton_cns_enabled": "maybe"}),
    ("POST", "account", {"triton_cns_enabled": 1}),
    ("POST", "account", {"triton_cns_enabled": None}),
    ("POST", "account", {"triton_cns_enabled": ["true"]}),
    ("POST", "account", {"phone": 555}),
    ("POST", "account", {"email": ["a@b.c"]}),
    ("PUT", "config", {"default_network": 5}),
    ("PUT", "config", {"default_network": [UNKNOWN]}),
    ("POST", "machines", {**MACHINE, "name": "x", "firewall_enabled": "maybe"}),
    ("POST", "machines", {**MACHINE, "name": "x", "firewall_enabled": 1}),
    ("POST", "machines", {**MACHINE, "name": "x", "deletion_protection": "true"}),
    ("POST", "machines", {**MACHINE, "name": "x", "deletion_protection": 1}),
    ("POST", "machines", {**MACHINE, "name": "x", "delegate_dataset": "true"}),
    ("POST", "machines", {**MACHINE, "name": "x", "allow_shared_images": "yes"}),
    ("POST", "machines", {**MACHINE, "name": "x", "administrator_pw": {"a": "b"}}),
    ("POST", "machines", {**MACHINE, "name": "x", "credentials": "maybe"}),
    ("POST", "machines", {**MACHINE, "name": "x", "package": ["sample-512M"]}),
    ("POST", "machines", {**MACHINE, "name": "x", "image": {"id": BASE64}}),
    ("POST", "machines", {**MACHINE, "name": ["x"]}),
    ("POST", "machines", {**MACHINE, "name": "x", "networks": 5}),
    ("POST", "machines", {**MACHINE, "name": "x", "volumes": {"name": "v"}}),
    ("POST", "machines", {**MACHINE, "name": "x", "affinity": {"a": "b"}}),
    ("POST", "machines", {**MACHINE, "name": "x", "tag.x": None}),
    ("POST", "machine", {"action": ["stop"]}),
    ("POST", "machine", {"action": "rename", "name": {"a": 1}}),
    ("POST", "machine", {"action": "resize", "package": 512}),
    ("POST", "tags", {"x": [1]}),
    ("PUT", "tags", {"x": {"y": 1}}),
    ("POST", "metadata", {"x": [1]}),
    ("POST", "nics", {"network": {"ipv4_uuid": 5}}),
    ("POST", "nics", {"network": UNKNOWN, "primary": "maybe"}),
    ("POST", "snapshots", {"name": 5}),
    ("POST", "keys", {"key": 5}),
    ("POST", "keys", {"key": ["ssh-rsa AAAA"]}),
    ("POST", "rules", {"rule": 5}),
    ("POST", "rules", {"rule": RULE, "enabled": "maybe"}),
    ("POST", "rule", {"enabled": 1}),
    ("POST", "rule", {"log": None}),
    ("POST", "rule", {"description": 5}),
    ("POST", "vlans", {"vlan_id": [8], "name": "eight"}),
    ("PUT", "vlan", {"description": ["x"]}),
    ("POST", "networks", {"name": "x", "subnet": ["10.0.0.0/24"]}),
    ("PUT", "network", {"resolvers": [8]}),
    ("PUT", "ip", {"reserved": "maybe"}),
    ("PUT", "ip", {"reserved": 1}),
    ("POST", "volumes", {"type": "tritonnfs", "size": "10240"}),
    ("POST", "volumes", {"type": "tritonnfs", "size": True}),
    ("POST", "volumes", {"type": "tritonnfs", "name": 5}),
    ("POST", "volumes", {"type": "tritonnfs", "networks": "all"}),
    ("POST", "volumes", {"type": "tritonnfs", "tags": {"a": 5}}),
    ("POST", "volumes", {"type": ["tritonnfs"]}),
    ("POST", "users", {"login": "carol", "email": "c@d.e", "password": 5}),
    ("POST", "users", {"login": ["carol"], "email": "c@d.e", "password": "secret123"}),
    ("POST", "user", {"companyName": {"a": "b"}}),
    ("POST", "roles", {"name": 5}),
    ("POST", "roles", {"name": "r", "members": {"login": "bobby"}}),
    ("POST", "roles", {"name": "r", "members": [{"type": "subuser", "login": 5}]}),
    ("POST", "roles", {"name": "r", "members": [{"login": "bobby"}]}),
    (
        "POST",
        "roles",
        {"name": "r", "members": [{"type": "subuser", "login": "bobby", "default": "true"}]},
    ),
    ("POST", "policies", {"name": "p", "rules": [5]}),
    ("POST", "policies", {"name": ["p"], "rules": ["CAN x *"]}),
    ("PUT", "account", {"role-tag": [5]}),
]


@pytest.mark.parametrize(("method", "what", "body"), WRONG)
def test_wrong_kinds(made, method, what, body):
    dc, paths = made
    before = dump(dc)
    status, code, message = error(dc.call(method, paths[what], json=body))
    assert status == (422 if what.startswith("rule") else 409), (code, message)
    assert code in ("InvalidArgument", "ValidationFailed", "InvalidParameters") and message
    dc.settle()
    assert dump(dc) == before


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("machines", "credentials=maybe"),
        ("machine", "credentials=maybe"),
        ("metadata", "credentials=5"),
        ("machines", "docker=maybe"),
        ("machines", "limit=1&limit=2"),
        ("machines", "limit=1e3"),
        ("machines", "limit=NaN"),
        ("machines", "offset=99999999999999999999"),
        ("machines", "memory=Infinity"),
        ("machines", "memory=\u0661"),
        ("machines", "memory=1_0"),
        ("machines", f"memory={'9' * 5000}"),
        ("machines", "name=a&name=b"),
        ("machines", "brand=a&brand=b"),
        ("machines", "tag.a=b&tag.a=c"),
        ("keys", "sync=maybe"),
        ("volumes", "size=1e3"),
        ("volumes", "state=gone"),
        ("volumes", "colour=red"),
        ("volumes", f"predicate={'[' * 9000}"),
        ("user", "membership=maybe"),
    ],
)
def test_wrong_queries(made, path, query):
    dc, paths = made
    status, code, message = error(dc.get(f"{paths[path]}?{query}"))
    assert status == 409 and code in ("InvalidArgument", "ValidationFailed") and message


@pytest.mark.parametrize("number", HUGE)
@pytest.mark.parametrize(
    ("method", "what", "name"),
    [
        ("POST", "account", "phone"),
        ("POST", "machines", "tag.x"),
        ("POST", "machine", "package"),
        ("POST", "tags", "x"),
        ("PUT", "tags", "x"),
        ("POST", "metadata", "x"),
        ("POST", "vlans", "vlan_id"),
        ("POST", "volumes", "size"),
        ("POST", "policies", "rules"),
    ],
)
def test_numbers_that_nothing_can_keep(made, method, what, name, number):
    dc, paths = made
    before = dump(dc)
    body = f'{{"{name}": {number}}}'
    answer = dc.call(method, paths[what], data=body, headers={"Content-Type": "application/json"})
    status, code, message = error(answer)
    assert (status, code) == (409, "InvalidArgument")
    assert message.startswith(name) and message.endswith("must be a number of at most 1.8e308")
    assert dump(dc) == before


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_words_that_are_no_json(made, word):
    """JSON.parse of JavaScript does not take them, and so restify refuses the whole body."""
    dc, paths = made
    headers = {"Content-Type": "application/json"}
    answer = dc.post(paths["tags"], data=f'{{"x": {word}}}', headers=headers)
    assert error(answer)[:2] == (400, "InvalidContent")


def test_who_has_not_signed_learns_nothing_of_values(made):
    dc, paths = made
    headers = {"Content-Type": "application/json"}
    answer = requests.post(dc.url + paths["tags"], data='{"x": 1e999}', headers=headers, timeout=10)
    assert error(answer)[:2] == (401, "InvalidCredentials")


def test_numbers_are_those_of_javascript(made):
    dc, paths = made
    headers = {"Content-Type": "application/json"}
    body = '{"a": 5.0, "b": 12345678901234567, "c": -0, "d": 1.5, "e": 1e3}'
    answer = dc.put(paths["tags"], data=body, headers=headers)
    assert answer.text == '{"a":5,"b":12345678901234568,"c":0,"d":1.5,"e":1000}'
    dc.settle()
    assert dc.get(paths["tags"]).json() == answer.json()
    assert json_number("1e999") == math.inf and json_number("9" * 5000) == math.inf


@pytest.mark.parametrize(
    ("read", "value", "wanted"),
    [
        (boolean, "true", True),
        (boolean, False, False),
        (boolean, "TRUE", None),
        (boolean, "", None),
        (boolean, 0, None),
        (flag, "True", True),
        (flag, "", False),
        (flag, None, False),
        (flag, 1, None),
        (json_boolean, True, True),
        (json_boolean, "true", None),
        (integer, 7, 7),
        (integer, "-7", -7),
        (integer, "7.0", None),
        (integer, True, None),
        (integer, 2**53 + 2, None),
        (integer, " 7", None),
        (text, "x", "x"),
        (text, 5, None),
        (text, ["x"], None),
    ],
)
def test_readers(read, value, wanted):
    if wanted is None:
        with pytest.raises(ApiError) as refusal:
            read({"it": value}, "it")
        assert (refusal.value.status, refusal.value.code) == (409, "InvalidArgument")
        assert refusal.value.message.startswith("it must be ")
    else:
        assert read({"it": value}, "it") == wanted
    assert not read({}, "it")
