"""Machines that are called like each other, like groups, or like hosts from elsewhere.

Through `ansible-inventory`, on two embedded data centers without zones.
"""

from __future__ import annotations

import itertools
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from smartdc import hostnames

from ..modules.modules_support import Cloud
from .runs import run_inventory

ENGINE = {"cluster": "ipython", "role": "engine"}


class Center:
    """A data center, and what it is to have."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.cloud = Cloud(directory)
        with self.cloud.client() as client:
            images = client.list_images()
        self.image = next(i["id"] for i in images if i["name"] == "base-64-lts")

    def has(self, machines: dict[str, dict[str, Any]]) -> dict[str, str]:
        """Make these machines and no others; their ids."""
        with self.cloud.client() as client:
            for machine in client.list_machines():
                client.delete(machine["id"])
            offer = {"image": self.image, "package": "sample-512M"}
            made = {
                name: client.create({"name": name, "tags": tags, **offer})["id"]
                for name, tags in machines.items()
            }
            deadline = time.monotonic() + 30
            while {m["id"] for m in client.list_machines() if m["state"] == "running"} != {
                *made.values()
            }:
                assert time.monotonic() < deadline, client.list_machines()
        return made


@pytest.fixture(scope="module")
def centers(tmp_path_factory) -> Iterator[list[Center]]:
    home = tmp_path_factory.mktemp("centers")
    centers = [Center(home / "east"), Center(home / "west")]
    yield centers
    for center in centers:
        center.cloud.stop()


class Files:
    """A folder of inventory files, read in the order of their names."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.folder = directory / "inventory"
        self.folder.mkdir()
        self.text = ""

    def put(self, name: str, center: Center, **options: Any) -> None:
        content = {"plugin": "sdc", **center.cloud.access, **options}
        (self.folder / f"{name}.sdc.yml").write_text(json.dumps(content))

    def put_static(self, name: str, content: dict[str, Any]) -> None:
        (self.folder / f"{name}.yml").write_text(json.dumps({"all": content}))

    def read(self) -> dict[str, Any]:
        listing, self.text = run_inventory(self.directory, self.folder, {}, warnings=True)
        assert "Failed to parse" not in self.text and "Traceback" not in self.text, self.text
        # Ansible itself says so where it was not avoided
        assert "Found both group and host" not in self.text, self.text
        return listing

    def members(self, listing: dict[str, Any], group: str) -> set[str]:
        """Hosts of a group and of the groups in it."""
        entry = listing.get(group, {})
        inner = (self.members(listing, child) for child in entry.get("children", ()))
        return {*entry.get("hosts", ())}.union(*inner)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def hosts(listing: dict[str, Any]) -> dict[str, str]:
    """Machine id -> host; each machine is one host."""
    found = listing["_meta"]["hostvars"]
    machines = {v["sdc_id"]: name for name, v in found.items() if "sdc_id" in v}
    assert len(machines) == sum("sdc_id" in v for v in found.values())
    return machines


KINDS: list[tuple[str, dict[str, Any]]] = [
    ("role_engine", {}),
    ("cluster_ipython", {"group_by": ["cluster"]}),
    ("sdc_tag_kind_gpu", {"group_by": ["tag", "cluster"]}),
    ("sdc_datacenter_arguments", {"group_by": ["datacenter", "cluster"]}),
    ("gpu", {"groups": {"gpu": "sdc_tags.kind is defined"}}),
    ("gpu", {"keyed_groups": [{"key": "sdc_tags.kind", "separator": ""}]}),
    ("k_gpu", {"keyed_groups": [{"key": "sdc_tags.kind", "prefix": "k"}]}),
    ("kinds", {"keyed_groups": [{"key": "sdc_tags.kind", "parent_group": "kinds"}]}),
    ("k_ipython", {"compose": {"k": "sdc_tags.cluster"},
                   "keyed_groups": [{"key": "k", "prefix": "k"}]}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "options"), KINDS)
def test_a_machine_called_like_a_group_of_its_file(centers, files, name, options):
    east = centers[0]
    tags = {**ENGINE, "kind": "gpu"}
    ids = east.has({"aa": tags, name: {"cluster": "other", "kind": "gpu"}, "zz": tags})
    files.put("a", east, **options)
    listing = files.read()
    by_id = hosts(listing)
    assert by_id == {ids["aa"]: "aa", ids["zz"]: "zz", ids[name]: f"{name}-{ids[name][:8]}"}
    if "cluster" in options.get("group_by", ["cluster"]):
        assert files.members(listing, "cluster_other") == {by_id[ids[name]]}
        assert files.members(listing, "cluster_ipython") == {"aa", "zz"}
    assert files.members(listing, name) >= {"aa", "zz"}
    assert f"a group is called '{name}', too; as hosts: {by_id[ids[name]]}" in files.text


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize(("name", "options"), KINDS)
def test_a_machine_called_like_a_group_of_another_file(centers, files, name, options, last):
    """The machine is west's, the group east's, and either file comes first."""
    east, west = centers
    east.has({"aa": {**ENGINE, "kind": "gpu"}})
    ids = west.has({name: {"cluster": "other"}, "zz": {}})
    files.put("m", east, **options)
    files.put("z" if last else "a", west)
    listing = files.read()
    by_id = hosts(listing)
    assert len(by_id) == 3 and by_id[ids["zz"]] == "zz"
    assert by_id[ids[name]] == f"{name}-{ids[name][:8]}"
    assert files.members(listing, "cluster_other") == {by_id[ids[name]]}
    assert by_id[ids[name]] not in files.members(listing, "cluster_ipython")
    if "sdc_datacenter" not in name:
        assert files.members(listing, name) == {"aa"}
    assert f"a group is called '{name}', too" in files.text


def test_two_data_centers_with_one_name_in_any_order(centers, files):
    roles = dict(zip("ew", centers, strict=True))
    ids = {center.has({"web": {"role": role}})["web"]: role for role, center in roles.items()}
    found = []
    for order in itertools.permutations(centers):
        for number, center in enumerate(order):
            files.put(str(number), center)
        listing = files.read()
        assert "2 machines are called 'web'; as hosts: " in files.text
        by_id = hosts(listing)
        found.append(by_id)
        assert set(listing["web"]["hosts"]) == set(by_id.values())
        for ident, role in ids.items():
            assert listing[f"role_{role}"]["hosts"] == [by_id[ident]]
            assert listing["_meta"]["hostvars"][by_id[ident]]["sdc_tags"] == {"role": role}
    assert found[0] == found[1] == {i: f"web-{i[:8]}" for i in ids}


def test_a_shared_name_that_is_a_group_of_the_last_file(centers, files):
    """Twins of two files, whose group a third file needs for something else."""
    east, west = centers
    ids = [center.has({"web": {}, "db": {"tier": "web"}})["web"] for center in centers]
    files.put("a", east, include=[{"name": "web"}])
    files.put("b", west, include=[{"name": "web"}])
    keyed = [{"key": "sdc_tags.tier", "separator": ""}]
    files.put("c", east, include=[{"name": "db"}], keyed_groups=keyed)
    listing = files.read()
    assert files.members(listing, "web") == {"db"}
    assert {hosts(listing)[ident] for ident in ids} == {f"web-{ident[:8]}" for ident in ids}


def test_one_machine_of_two_files_is_one_host(centers, files):
    """The second file knows that it shares its name, the first one did not."""
    east, west = centers
    ids = [center.has({"web": ENGINE})["web"] for center in centers]
    files.put("a", east)
    files.put("b", east, sources=[east.cloud.access, west.cloud.access], groups={"seen": True})
    listing = files.read()
    assert hosts(listing) == {ident: f"web-{ident[:8]}" for ident in ids}
    assert files.members(listing, "role_engine") == files.members(listing, "seen")
    assert len(files.members(listing, "seen")) == 2


def test_names_that_mean_something_else(centers, files):
    ids = centers[0].has({name: {} for name in ("localhost", "127.0.0.1", "all", "ungrouped")})
    files.put("a", centers[0])
    listing = files.read()
    assert hosts(listing) == {ident: f"{name}-{ident[:8]}" for name, ident in ids.items()}
    assert "'localhost' means something else to Ansible" in files.text


@pytest.mark.parametrize("word", ["all", "ungrouped", "localhost", "parent"])
def test_groups_that_are_no_groups(centers, files, word):
    """A tag that would end the run, or put machines in the place of the local host."""
    ids = centers[0].has({"bad": {"kind": word}, "good": {"kind": "gpu"}, "none": {}})
    keyed = [{"key": "sdc_tags.kind", "separator": "", "parent_group": "parent"}]
    files.put("a", centers[0], keyed_groups=keyed)
    listing = files.read()
    assert hosts(listing) == {ident: name for name, ident in ids.items()}
    assert files.members(listing, "gpu") == {"good"}
    assert files.members(listing, "parent") == {"good", *(["bad"] if word == "parent" else [])}
    assert "localhost" not in listing
    if word != "parent":
        assert f"bad is in no group that keyed_groups or groups call {word}" in files.text


def test_a_key_that_is_no_text_for_one_machine(centers, files):
    """A tag may be a number or a truth value; Ansible gives up all machines for it."""
    ids = centers[0].has({"bad": {"kind": 5}, "worse": {"kind": True}, "good": {"kind": "gpu"}})
    keyed = [{"key": "sdc_tags.kind", "prefix": "k"}, {"key": "sdc_state", "prefix": "s"}]
    files.put("a", centers[0], keyed_groups=keyed)
    listing = files.read()
    assert hosts(listing) == {ident: name for name, ident in ids.items()}
    assert files.members(listing, "k_gpu") == {"good"}
    assert files.members(listing, "s_running") == set(ids)
    assert "bad: keyed_groups: Invalid group name format" in files.text


def test_groups_in_a_circle(centers, files):
    centers[0].has({"aa": {"up": "x", "down": "y"}, "bb": {"up": "y", "down": "x"}})
    keyed = [{"key": "sdc_tags.down", "separator": "", "parent_group": "{{ sdc_tags.up }}"}]
    files.put("a", centers[0], keyed_groups=keyed)
    listing = files.read()
    assert len(hosts(listing)) == 2
    assert "is not in" in files.text and "loop" in files.text


def test_a_group_named_after_its_own_host(centers, files):
    """The host is called otherwise for the group's sake, and then so is the group."""
    ids = centers[0].has({"web": {}})
    keyed = [{"key": "inventory_hostname", "separator": ""}]
    files.put("a", centers[0], keyed_groups=keyed)
    listing = files.read()
    short = ids["web"][:8]
    assert hosts(listing) == {ids["web"]: f"web-{short}"}
    assert files.members(listing, f"web_{short}") == {f"web-{short}"} and "web" not in listing


def test_hosts_of_a_static_file(centers, files):
    """One with an address is another host; one without says something about the machine."""
    ids = centers[0].has({"gateway": ENGINE, "web": ENGINE})
    files.put_static("a", {
        "hosts": {"gateway": {"ansible_host": "192.0.2.1"}},
        "children": {"mine": {"hosts": {"web": {"colour": "red"}}}},
    })  # fmt: skip
    files.put("b", centers[0], groups={"picked": "'mine' in group_names"})
    listing = files.read()
    found = listing["_meta"]["hostvars"]
    own = f"gateway-{ids['gateway'][:8]}"
    assert hosts(listing) == {ids["gateway"]: own, ids["web"]: "web"}
    assert found["gateway"]["ansible_host"] == "192.0.2.1" and "sdc_id" not in found["gateway"]
    assert found["web"]["colour"] == "red" and listing["mine"]["hosts"] == ["web"]
    assert listing["picked"]["hosts"] == ["web"]
    assert "another host of the inventory is called 'gateway'" in files.text


def test_no_conflict_no_word(centers, files):
    east, west = centers
    ids = {**east.has({"a": ENGINE, "a-b": ENGINE}), **west.has({"a_b": ENGINE, "a.b": {}})}
    files.put("a", east)
    files.put("b", west)
    listing = files.read()
    assert files.text == "" and hosts(listing) == {i: name for name, i in ids.items()}


def machine(name: str, ident: str) -> dict[str, str]:
    return {"name": name, "id": ident}


def test_assign_is_independent_of_order():
    """Ids that begin alike, names that are already qualified, groups that clash once more."""
    machines = [
        *(machine("web", f"aaaaaaaa-{n}") for n in range(3)),
        machine("web-aaaaaaaa", "bbbbbbbb-0"),
        machine("a.b", "1"), machine("a.b", "2"), machine("a-b", "3"), machine("a-b", "4"),
        machine("role_x", "cccccccc-0"), machine("gate", "dddddddd-0"),
    ]  # fmt: skip
    groups = ["role_x", "role_x-cccccccc"]
    expected = hostnames.assign(machines, groups, ["gate"])
    for seed in range(20):
        shuffled = random.Random(seed).sample(machines, len(machines))
        assert hostnames.assign(shuffled, groups, ["gate"]) == expected
    names = expected.hosts
    assert len(set(names.values())) == len(machines)
    assert names["bbbbbbbb-0"] == "web-aaaaaaaa"
    assert names["aaaaaaaa-0"] == "web-aaaaaaaa-0"
    assert names["cccccccc-0"] == "role_x-cccccccc-0" and names["dddddddd-0"] == "gate-dddddddd"
    assert expected.twins == {"web": ["aaaaaaaa-0", "aaaaaaaa-1", "aaaaaaaa-2"]}
