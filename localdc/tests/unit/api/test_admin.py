"""The admin interface: settings, counters, accounts."""

import time

import requests

from localdc.api.settings import Throttle

from .signer import Key, Signer


def test_admin_settings_counters_and_accounts(start):
    dc = start(throttle=Throttle(2, 0.001))
    assert [dc.get("/my").status_code for _ in "123"] == [200, 200, 429]
    shown = dc.admin("GET", "settings").json()
    assert shown == {
        "throttle": {"burst": 2, "rate": 0.001},
        "throttle_status": 429,
        "compute_nodes": 3,
        "provision_seconds": 0.0,
        "keys_cache_seconds": 0.0,
        "lists_cache_seconds": 0.0,
        "change_seconds": None,
        "public_pool": False,
        "bad_day": None,
    }
    for bad in (
        {"throttle": 5},
        {"provision_seconds": "x"},
        {"keys_cache_seconds": -1},
        {"lists_cache_seconds": True},
        {"change_seconds": 5},
        {"change_seconds": [5, 4]},
        {"change_seconds": [0, 3601]},
        {"public_pool": 1},
        {"bad_day": "yes"},
        {"bad_day": {"rain": True}},
        {"bad_day": {"seed": 1.5}},
        {"bad_day": {"failing": 1}},
        {"bad_day": True, "colour": "red"},
        {"colour": "red"},
    ):
        assert dc.admin("PUT", "settings", json=bad).status_code == 409
    assert dc.admin("GET", "settings").json() == shown
    new = dc.admin("PUT", "settings", json={"throttle": None, "provision_seconds": 60}).json()
    assert new == {**shown, "throttle": None, "provision_seconds": 60}
    dc.admin("DELETE", "requests")
    uuid = dc.create(settle=False)
    time.sleep(0.05)
    assert dc.machine(uuid)["state"] == "provisioning"
    assert dc.admin("GET", "requests").json() == {
        "total": 2,
        "calls": {"POST /:account/machines": 1, "GET /:account/machines/:machine": 1},
    }
    key = Key("ed25519")
    made = dc.admin("POST", "accounts", json={"login": "other", "key": key.line})
    assert made.status_code == 201
    signer = Signer(key, login="other", algorithm="ed25519-sha512")
    answer = requests.get(f"{dc.url}/my/machines", auth=signer, timeout=5)
    assert answer.json() == []
    assert requests.get(f"{dc.url}/acme/machines", auth=signer, timeout=5).status_code == 403
    assert dc.admin("POST", "accounts", json={"login": "x", "key": "y"}).status_code == 409
