"""Provisioning limits: set by the owner, shown to the account, enforced."""

from __future__ import annotations

import pytest

from .harness import BASE64, error

PATH = "accounts/acme/limits"
QUOTA = "Quota exceeded; to have your limits raised please contact Support"
MINIMAL = "66f1f1f6-3ab6-44a4-9b0b-2f1c7a9c2c0e"


def limit(dc, *limits):
    answer = dc.admin("PUT", PATH, json={"limits": list(limits)})
    assert answer.status_code == 200, answer.text
    return answer.json()["limits"]


def create(dc, name, package="sample-512M", image=BASE64):
    answer = dc.post("/my/machines", json={"name": name, "image": image, "package": package})
    dc.settle()
    return answer


def test_there_are_none_to_begin_with(dc):
    assert dc.get("/my/limits").json() == []
    assert dc.admin("GET", PATH).json() == {"limits": []}


def test_number_of_machines(dc):
    dc.create("one")
    # as it was set, and `used` (sdc-cloudapi, plugins/provision_limits.js, setLimitsUsed)
    expected = [{"value": 2, "used": 1}]
    assert limit(dc, {"value": 2}) == expected
    assert dc.get("/my/limits").json() == expected
    two = create(dc, "two").json()["id"]
    assert error(create(dc, "three")) == (403, "NotAuthorized", QUOTA)
    assert [m["name"] for m in dc.get("/my/machines").json()] == ["one", "two"]
    # a machine may still change its size, and one that is deleted does not count
    assert dc.act(two, "resize", package="sample-1G").status_code == 202
    dc.delete(f"/my/machines/{two}")
    dc.settle()
    assert dc.get("/my/limits").json()[0]["used"] == 1
    assert create(dc, "three").status_code == 201


def test_memory_and_disk_count_on_create_and_resize(dc):
    uuid = dc.create("one", package="sample-512M")
    limit(dc, {"by": "ram", "value": 1536}, {"by": "quota", "value": 60})
    shown = {entry["by"]: entry["used"] for entry in dc.get("/my/limits").json()}
    assert shown == {"ram": 512, "quota": 10}
    assert error(create(dc, "two", "sample-2G"))[:2] == (403, "NotAuthorized")
    assert error(dc.act(uuid, "resize", package="sample-2G")) == (403, "NotAuthorized", QUOTA)
    assert dc.machine(uuid)["package"] == "sample-512M"
    assert dc.act(uuid, "resize", package="sample-1G").status_code == 202
    assert create(dc, "two").status_code == 201
    shown = {entry["by"]: entry["used"] for entry in dc.get("/my/limits").json()}
    assert shown == {"ram": 1536, "quota": 35}
    assert error(create(dc, "three"))[0] == 403


def test_a_limit_may_be_for_an_image_a_brand_or_an_os(dc):
    limit(dc, {"value": 1, "check": "image", "image": "minimal-64-lts"})
    assert create(dc, "a", image=MINIMAL).status_code == 201
    assert error(create(dc, "b", image=MINIMAL))[0] == 403
    assert create(dc, "c").status_code == 201
    (shown,) = dc.get("/my/limits").json()
    assert shown == {
        "value": 1, "used": 1, "check": "image", "image": "minimal-64-lts",
    }  # fmt: skip
    limit(dc, {"value": 1, "check": "os", "os": "linux"}, {"value": 0})
    assert create(dc, "d").status_code == 201
    limit(dc, {"value": 3, "check": "brand", "brand": "any"})
    assert error(create(dc, "e"))[0] == 403


def test_nothing_at_all(dc):
    limit(dc, {"value": -1})
    assert error(create(dc, "a")) == (403, "NotAuthorized", QUOTA)


def test_other_accounts_are_not_concerned_and_limits_survive(start, tmp_path, key):
    path = tmp_path / "state.db"
    dc = start(path)
    dc.admin("POST", "accounts", json={"login": "other", "key": key.line})
    assert dc.admin("PUT", "accounts/other/limits", json={"limits": [{"value": 1}]}).ok
    assert dc.get("/my/limits").json() == []
    dc.stop()
    again = start(path)
    found = again.admin("GET", "accounts/other/limits").json()["limits"]
    assert found == [{"value": 1, "used": 0}]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "list of objects"),
        ({"limits": [7]}, "an object"),
        ({"limits": [{"value": "many"}]}, "a number"),
        ({"limits": [{"value": -2}]}, "a number"),
        ({"limits": [{"value": 1, "by": "cores"}]}, "machines, ram, quota"),
        ({"limits": [{"value": 1, "check": "os"}]}, "says which"),
        ({"limits": [{"value": 1, "check": "name", "name": "x"}]}, "brand, image, os"),
        ({"limits": [{"value": 1, "check": ["os"], "os": "linux"}]}, "brand, image, os"),
        ({"limits": [{"value": 1, "os": "linux"}]}, "unknown field os"),
    ],
)
def test_nonsense_is_refused(shared, body, words):
    status, code, message = error(shared.admin("PUT", PATH, json=body))
    assert (status, code) == (409, "InvalidArgument")
    assert words in message
    assert shared.get("/my/limits").json() == []


def test_unknown_account(shared):
    answer = shared.admin("PUT", "accounts/nobody/limits", json={"limits": []})
    assert error(answer) == (404, "ResourceNotFound", "account nobody not found")
