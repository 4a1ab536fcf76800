"""Sub-users: who they are, what their roles allow, and which keys open machines."""

from __future__ import annotations

import sqlite3

import pytest
import requests

from localdc.api.accounts import rbac
from localdc.api.routes import ROUTES

from .harness import BASE64, error
from .signer import Key, Signer

EVE = {"type": "subuser", "login": "eve"}
MACHINE = {"image": BASE64, "package": "sample-512M"}


class Actor:
    """A sub-user with a key of his own."""

    def __init__(self, dc, login, key=None):
        self.dc, self.login, self.key = dc, login, key or Key("ed25519")
        body = {"login": login, "email": f"{login}@example.com", "password": "secret-1"}
        answer = dc.post("/my/users", json=body)
        assert answer.status_code == 201, answer.text
        self.id = answer.json()["id"]
        added = dc.post(f"/my/users/{login}/keys", json={"name": "own", "key": self.key.line})
        assert added.status_code == 201, added.text

    def call(self, method, path, **kwargs):
        signer = Signer(
            self.key, key_id=f"/acme/users/{self.login}/keys/{self.key.md5}",
            algorithm="ed25519-sha512",
        )  # fmt: skip
        return requests.request(method, self.dc.url + path, auth=signer, timeout=20, **kwargs)

    def may(self, name, *rules, default=True):
        """Give him a role of this name with these rules."""
        body = {"name": name, "members": [{"type": "subuser", "id": self.id, "default": default}]}
        if rules:
            policy = {"name": f"{name}-policy", "rules": list(rules)}
            assert self.dc.post("/my/policies", json=policy).status_code == 201
            body["policies"] = [{"name": policy["name"]}]
        answer = self.dc.post("/my/roles", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()


@pytest.fixture
def bob(dc):
    return Actor(dc, "bobby")


def authorized(dc, uuid):
    return [line.split()[1] for line in dc.compute.zones[uuid].authorized_keys]


def test_a_sub_user_is_known_by_his_own_keys_and_may_do_nothing(dc, bob):
    status, code, message = error(bob.call("GET", "/acme/machines"))
    assert (status, code) == (403, "NotAuthorized")
    # sdc-cloudapi, lib/auth.js, authorize: the path as it was sent, and the action
    assert message == "You do not have permission to access /acme/machines (listmachines)"
    stranger = Actor.__new__(Actor)
    stranger.dc, stranger.login, stranger.key = dc, "bobby", Key("ed25519")
    assert error(stranger.call("GET", "/acme/machines"))[:2] == (401, "InvalidCredentials")
    # sub-users came with version 7.2
    old = bob.call("GET", "/acme/machines", headers={"Accept-Version": "~7.1"})
    assert error(old)[:2] == (401, "InvalidCredentials")
    # the key of the account is not his, nor his the account's
    signer = Signer(bob.key, key_id=f"/acme/keys/{bob.key.md5}", algorithm="ed25519-sha512")
    answer = requests.get(f"{dc.url}/my/machines", auth=signer, timeout=20)
    assert answer.status_code == 401


def test_policies_allow_what_they_say(dc, bob):
    bob.may("makers", "CAN listmachines, getmachine and createmachine *")
    assert bob.call("GET", "/my/machines").json() == []
    assert bob.call("HEAD", "/my/machines").status_code == 403, "HEAD is an action of its own"
    made = bob.call("POST", "/my/machines", json={"name": "web", **MACHINE})
    assert made.status_code == 201, made.text
    dc.settle()
    uuid = made.json()["id"]
    assert bob.call("GET", f"/my/machines/{uuid}").json()["state"] == "running"
    for verb, action in (("stop", "stopmachine"), ("enable_firewall", "enablemachinefirewall")):
        answer = bob.call("POST", f"/my/machines/{uuid}", json={"action": verb})
        assert error(answer)[2].endswith(f"/my/machines/{uuid} ({action})")
    assert error(bob.call("DELETE", f"/my/machines/{uuid}"))[0] == 403
    caller = dc.audit(uuid)[0]["caller"]
    assert caller["keyId"] == f"/acme/users/bobby/keys/{bob.key.md5}"


def test_rules_may_look_at_tags(dc, bob):
    bob.may("reapers", "CAN deletemachine * WHEN tag_cluster::string = ipython")
    own, other, bare = (
        dc.create(name, **tags)
        for name, tags in (
            ("a", {"tag.cluster": "ipython"}), ("b", {"tag.cluster": "db"}), ("c", {}),
        )
    )  # fmt: skip
    assert [bob.call("DELETE", f"/my/machines/{m}").status_code for m in (own, other, bare)] == [
        204, 403, 403,
    ]  # fmt: skip


def test_rules_that_cannot_be_looked_at_refuse(dc, bob):
    bob.may("lookers", "CAN getmachine * WHEN tag_x::ip = 10.0.0.0/8")
    inside, other = dc.create("a", **{"tag.x": "10.1.2.3"}), dc.create("b", **{"tag.x": "web"})
    found = [bob.call("GET", f"/my/machines/{m}").status_code for m in (inside, other)]
    assert found == [200, 403]


def test_a_rule_that_was_accepted_once_refuses(start, tmp_path):
    """One of a data center that took more rules than CloudAPI does."""
    path = tmp_path / "state.db"
    dc = start(path)
    bob = Actor(dc, "bobby")
    bob.may("lookers", "CAN getmachine *", "CAN listmachines * WHEN method::string like /get/")
    dc.stop()
    with sqlite3.connect(path) as store:
        store.execute("UPDATE documents SET record = replace(record, 'like /get/', 'like get')")
    store.close()
    bob.dc = start(path)
    assert error(bob.call("GET", "/my/machines"))[:2] == (403, "NotAuthorized")


def test_a_rule_without_resource_counts_where_its_role_is_a_tag(dc, bob):
    """node-mahi, lib/client.js, authorize; what a sub-user makes has his active roles as tags."""
    role = bob.may("keepers", "CAN stopmachine and rebootmachine", "CAN createmachine *")
    foreign = dc.create("foreign")
    stop = {"action": "stop"}
    assert bob.call("POST", f"/my/machines/{foreign}", json=stop).status_code == 403
    put = dc.put(f"/my/machines/{foreign}", json={"role-tag": ["keepers"]})
    assert put.json() == {"name": f"/acme/machines/{foreign}", "role-tag": ["keepers"]}
    assert bob.call("POST", f"/my/machines/{foreign}", json=stop).status_code == 202
    own = bob.call("POST", "/my/machines", json={"name": "own", **MACHINE}).json()["id"]
    tagged = dc.post(
        "/my/machines", json={"name": "t", **MACHINE}, headers={"Role-Tag": role["name"]}
    ).json()["id"]
    dc.settle()
    for uuid in (own, tagged):
        assert bob.call("POST", f"/my/machines/{uuid}", json=stop).status_code == 202
    assert dc.delete(f"/my/roles/{role['id']}").status_code == 204
    assert bob.call("POST", f"/my/machines/{own}", json=stop).status_code == 403


def test_roles_that_are_not_default_have_to_be_asked_for(dc, bob):
    bob.may("lookers", "CAN listmachines *", default=False)
    assert bob.call("GET", "/my/machines").status_code == 403
    assert bob.call("GET", "/my/machines?as-role=lookers").status_code == 200
    refused = error(bob.call("GET", "/my/machines?as-role=lookers,others"))
    assert refused == (403, "NotAuthorized", "You do not have permission to access acme")


def test_only_administrators_open_machines(dc, bob):
    """sdc-cloudapi, lib/machines.js, loadSSHKeys; sdc-ufds, capi/keys.js, for smartlogin."""
    account = dc.key.line.split()[1]
    early = dc.create("early")
    assert authorized(dc, early) == [account]
    role = bob.may("administrator", default=False)
    dc.settle()
    assert authorized(dc, early) == [account], "only default members do"
    assert bob.call("GET", "/my/machines?as-role=administrator").status_code == 200
    members = [{"type": "subuser", "login": "bobby", "default": True}]
    assert dc.post(f"/my/roles/{role['id']}", json={"members": members}).status_code == 200
    dc.settle()
    own = bob.key.line.split()[1]
    assert authorized(dc, early) == [account, own]
    late = bob.call("POST", "/my/machines", json={"name": "late", **MACHINE}).json()["id"]
    dc.settle()
    keys = dc.machine(late)["metadata"]["root_authorized_keys"]
    assert [line.split()[1] for line in keys.splitlines()] == [account, own]
    assert dc.delete("/my/users/bobby").status_code == 204
    dc.settle()
    assert authorized(dc, early) == [account]
    assert bob.call("GET", "/my/machines").status_code == 401


def test_what_is_asked_for_is_answered_as_cloudapi_does(dc, bob):
    role = bob.may("ops", "CAN listmachines *")
    assert role.keys() == {"name", "id", "members", "policies"}
    (policy,) = dc.get("/my/policies").json()
    assert policy["rules"] == ["CAN listmachines *"]
    assert role["policies"] == [{"id": policy["id"], "name": "ops-policy"}]
    member = {"type": "subuser", "id": bob.id, "login": "bobby", "default": True}
    assert dc.get("/my/roles/ops").json()["members"] == [member]
    # before version 9: names, also in what is asked for
    names = {"members": ["bobby"], "default_members": ["bobby"], "policies": ["ops-policy"]}
    answer = dc.post("/my/roles/ops", json=names, headers={"Accept-Version": "~8"})
    assert answer.status_code == 200
    assert error(dc.post("/my/roles/ops", json=names))[0] == 409
    old = dc.get("/my/roles", headers={"Accept-Version": "~8"}).json()
    assert old == [
        {"name": "ops", "id": role["id"], "members": ["bobby"], "default_members": ["bobby"],
         "policies": ["ops-policy"]},
    ]  # fmt: skip
    user = dc.get("/my/users/bobby?membership=true").json()
    assert (user["roles"], user["default_roles"], user["login"]) == (["ops"], ["ops"], "bobby")
    assert "password" not in user
    (key,) = dc.get("/my/users/bobby/keys").json()
    assert (key["name"], key["fingerprint"]) == ("own", bob.key.md5)
    assert dc.delete("/my/users/bobby/keys/own").status_code == 204
    assert dc.get("/my/users/bobby/keys").json() == []
    assert dc.delete("/my/policies/ops-policy").status_code == 204
    assert dc.get("/my/roles/ops").json()["policies"] == []


@pytest.mark.parametrize(
    ("path", "body", "code", "words"),
    [
        ("users", {"login": "eve"}, "MissingParameter", "email is required, password is required"),
        ("users", {"login": "eve", "email": "x", "password": "p"}, "InvalidArgument", "email: x"),
        (
            "users",
            {"login": "bobby", "email": "a@b.c", "password": "p"},
            "InvalidArgument",
            "taken",
        ),
        ("users/bobby/keys", {}, "MissingParameter", "key is a required argument"),
        ("policies", {"name": "p"}, "MissingParameter", "rules is required"),
        ("policies", {"name": "p", "rules": ["MAY x"]}, "InvalidArgument", "Parse error"),
        ("roles", {}, "MissingParameter", "name"),
        ("roles", {"name": "r", "members": [EVE]}, "InvalidArgument", "Invalid subuser: eve"),
        ("roles", {"name": "r", "members": ["bobby"]}, "InvalidArgument", "array of objects"),
        ("roles", {"name": "r", "policies": [{"name": "p"}]}, "InvalidArgument", "policy: p"),
        ("roles", {"name": "r", "policies": [7]}, "InvalidArgument", "array of objects"),
    ],
)
def test_nonsense_is_refused(dc, bob, path, body, code, words):
    status, found, message = error(dc.post(f"/my/{path}", json=body))
    assert (status, found) == (409, code) and words in message


def test_the_role_administrator_takes_no_policies(dc, bob):
    dc.post("/my/policies", json={"name": "p", "rules": ["CAN x *"]})
    body = {"name": "administrator", "policies": [{"name": "p"}]}
    assert error(dc.post("/my/roles", json=body))[2] == "Administrator role cannot have policies"
    assert error(dc.put("/my/machines", json={"role-tag": ["none"]}))[2] == "Invalid role-tag"
    for path in ("users/eve", "roles/r", "policies/p2", "users/eve/keys"):
        assert error(dc.get(f"/my/{path}"))[:2] == (404, "ResourceNotFound")


def test_sub_users_survive_a_restart(start, tmp_path, key):
    path = tmp_path / "state.db"
    dc = start(path)
    bob = Actor(dc, "bobby")
    bob.may("lookers", "CAN listmachines *")
    dc.stop()
    bob.dc = start(path)
    assert bob.call("GET", "/my/machines").json() == []


def test_every_call_of_cloudapi_has_an_action():
    """The names of its routes: sdc-cloudapi, lib/*.js, mount."""
    without = {
        f"{route.method} {route.pattern}"
        for route in ROUTES
        if route.access == "account" and not rbac.action(route.method, route.pattern, {})
    }
    # of 2013, changes of rules with the wrong verb, and what disks have no verb for
    assert without == {
        "GET /:account/datasets", "GET /:account/datasets/:image", "PUT /:account/fwrules/:rule",
        "PUT /:account/machines/:machine/disks",
        "DELETE /:account/machines/:machine/disks", "PUT /:account/machines/:machine/disks/:item",
    }  # fmt: skip
    assert rbac.action("HEAD", "/:account/machines", {}) == "headmachines"
    assert rbac.action("HEAD", "/:account/machines/:machine/audit", {}) == "headaudit"
    assert rbac.action("PUT", "/:account/machines/:item", {}) == "setroletags"
    assert rbac.action("PUT", "/:account/machines/:machine/tags", {}) == "replacemachinetags"
