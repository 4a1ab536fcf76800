"""Which hosts of an inventory are a cluster's: by the mark, by id, and by nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from .ansible_runs import load, on_localhost

IDS = {name: f"{n}0000000-0000-4000-8000-000000000000" for n, name in enumerate("abcdef", 1)}


def host(ident: str, center: str = "here", **tags: str) -> dict[str, Any]:
    return {"sdc_id": IDS[ident], "sdc_tags": tags, "sdc_datacenter": center, "sdc_ips": []}


OURS = {"ipython_cluster": "a__b", "cluster": "a__b"}
HOSTS = {
    "a__b-controller": host("a", **OURS, role="controller"),
    "a__b-engine-001": {
        **host("b", **OURS, role="engine"),
        "sdc_name": "a__b-engine-001",
        "sdc_ips": ["100.64.0.7", "10.99.0.7"],
    },
    "accounting-db": host("c", cluster="a__b", role="db"),
    "a__b-engine-002": host("d", cluster="a__b", role="engine"),
    "a-b-controller": host("e", ipython_cluster="a-b", cluster="a-b", role="controller"),
    "plain": host("f"),
}


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    return tmp_path / "hosts.yml"


def sort_out(
    inventory: Path, *options: str, hosts: Any = HOSTS, way: bool = True, **arguments: Any
) -> dict[str, Any]:
    """The plugin's answer, or its message as `msg`."""
    known = {"hosts": hosts, "vars": {"sdc_ssh": {}} if way else {}}
    inventory.write_text(yaml.safe_dump({"all": known}))
    arguments = {"cluster": "a__b", **arguments}
    said = on_localhost("cluster_machines", *options, inventory=str(inventory), **arguments)
    answer: dict[str, Any] = yaml.safe_load(said.partition("=> \n")[2] or said.partition("=>")[2])
    return answer


def test_the_mark_decides(inventory: Path) -> None:
    found = sort_out(inventory)
    assert found["all"] == ["a__b-controller", "a__b-engine-001"]
    assert (found["controllers"], found["engines"]) == (["a__b-controller"], ["a__b-engine-001"])
    assert sorted(found["strangers"]) == ["a__b-engine-002", "accounting-db"]
    assert found["alike"] == ["a__b-engine-002"]


def test_an_engine_is_known_by_all_that_it_may_call_itself(inventory: Path) -> None:
    """sdc-cloudapi, lib/machines.js, dnsify: one hyphen for several characters."""
    (engine,) = sort_out(inventory)["probed"]
    assert engine["name"] == "a__b-engine-001"
    assert set(engine["aliases"]) == {
        IDS["b"],
        "a__b-engine-001",
        "a-b-engine-001",
        "100.64.0.7",
        "10.99.0.7",
    }


def test_those_of_a_run_are_known_by_id(inventory: Path) -> None:
    found = sort_out(inventory, ids=[IDS["a"], IDS["d"]])
    assert found["all"] == ["a__b-controller", "a__b-engine-002"]
    missing = sort_out(inventory, ids=[IDS["a"], "nowhere"])
    assert "not in the inventory: nowhere" in missing["msg"]
    planned = sort_out(inventory, "--check", ids=[IDS["a"], "nowhere"])
    assert planned["all"] == ["a__b-controller"], "what does not run yet has no host"


def test_of_several_data_centers_the_one_that_is_talked_to(
    inventory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {"SDC_URL": "http://127.0.0.1:9", "SDC_ACCOUNT": "me", "SDC_KEY_ID": "ab:" * 15 + "ab"}
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    hosts = {
        "one": host("a", "environment", **OURS, role="controller"),
        "two": host("b", "elsewhere", **OURS, role="controller"),
    }
    assert sort_out(inventory, hosts=hosts)["controllers"] == ["one"]


def test_an_inventory_that_failed_is_no_empty_account(inventory: Path) -> None:
    assert "could not be read" in sort_out(inventory, way=False)["msg"]


def test_a_data_center_that_does_not_answer_is_told(
    inventory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    for name, value in {"URL": "http://127.0.0.1:9", "ACCOUNT": "me", "KEY_ID": "a" * 32}.items():
        monkeypatch.setenv(f"SDC_{name}", value)
    assert "no private key" in sort_out(inventory, ask=True)["msg"]


def test_what_the_machines_were_made_with() -> None:
    plugin = load("plugins/action/cluster_machines.py")
    tags = {"ipython_cluster": "c", "bootstrap": "metadata"}
    metadata = {"ipython.python": "3.13"}
    machines = [
        {"tags": {**tags, "role": "controller", "engines": 6}, "metadata": metadata},
        {"tags": {**tags, "role": "engine", "engines_per_machine": "2"}, "state": "stopped"},
    ]
    assert plugin.made_with(json.loads(json.dumps(machines))) == {
        "no_data_center": "",
        "exists": True,
        "bootstrap": "metadata",
        "wanted_engines": 6,
        "engines_per_machine": "2",
        "pythons": ["3.13"],
    }
    nothing = plugin.made_with([])
    assert (nothing["exists"], nothing["bootstrap"], nothing["wanted_engines"]) == (False, "", 4)
