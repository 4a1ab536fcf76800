"""Filters, addresses, jump hosts, duplicates, several data centers and stale answers."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import time

import pytest
import yaml
from ansible.module_utils.common.yaml import yaml_dump

from smartdc import addresses, filters
from smartdc.errors import UsageError

from ..modules.modules_support import ROOT, Cloud, run_module, without_settings
from .runs import TOOL, inventory, run_inventory

OFFER = {"package": "sample-512M", "image": "base-64-lts"}


def write(**options):
    return yaml_dump({"plugin": "sdc", **options})


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    cloud = Cloud(tmp_path_factory.mktemp("cloud"))
    for name, networks, tags in (
        ("gate", ["external", "internal"], {"role": "gate"}),
        ("web-1", ["internal"], {"role": "web", "hot": True}),
        ("web-2", ["internal"], {"role": "web", "tritoncli.ssh.proxy": "gate",
                                 "tritoncli.ssh.proxyuser": "bob"}),
        ("far", ["external"], {"tritoncli.ssh.ip": "192.0.2.9", "tritoncli.ssh.port": 2222}),
    ):  # fmt: skip
        run_module("sdc_machine", **cloud.access, **OFFER, name=name, networks=networks, tags=tags)
    yield cloud
    cloud.stop()


@pytest.fixture
def hosts(tmp_path, cloud):
    def run(**options):
        listing, _ = inventory(tmp_path, write(**options), cloud.environment)
        return listing["_meta"]["hostvars"]

    return run


FILTERS = [
    ({"include": [{"name": "web-*"}]}, {"web-1", "web-2"}),
    ({"include": [{"tag.role": "web", "tag.hot": True}, {"name": "far"}]}, {"web-1", "far"}),
    ({"exclude": [{"tag.role": ["web", "gate"]}]}, {"far"}),
    ({"include": [{"network": "internal"}], "exclude": [{"name": "web-2"}]}, {"gate", "web-1"}),
    ({"include": [{"image": "base-64-*", "package": "sample-1G"}]}, set()),
    ({"exclude": [{"tag.role": "*"}]}, {"far"}),
]


def test_filters(tmp_path, cloud):
    """One inventory for each, all in one folder; each puts its machines into its own group."""
    folder = tmp_path / "inventory"
    folder.mkdir()
    for number, (options, _) in enumerate(FILTERS):
        source = write(**options, groups={f"filter_{number}": True})
        (folder / f"{number}.sdc.yml").write_text(source)
    listing = run_inventory(tmp_path, folder, cloud.environment)[0]
    for number, (options, names) in enumerate(FILTERS):
        found = listing.get(f"filter_{number}", {"hosts": []})["hosts"]
        assert set(found) == names, options


def test_addresses(cloud, hosts):
    cloud.requests.clear()
    by_name = hosts(address=["internal", "external"])
    assert len(cloud.requests) == 1, "words cost no list of networks"
    assert by_name["gate"]["ansible_host"].startswith("10.")
    by_network = hosts(address=["10.99.0.0/16", "primary"])
    assert by_network["gate"]["ansible_host"].startswith("10.99.")
    by_network = hosts(include=[{"name": "gate"}], address=["10.99.0.0/16"])
    assert by_network["gate"]["ansible_host"].startswith("10.99.")


def test_address_by_network_name(cloud, hosts):
    cloud.requests.clear()
    found = hosts(address=["internal", "external"], include=[{"network": "external"}])
    assert {path for _, path in cloud.requests} == {"/acme/machines", "/acme/networks"}
    assert set(found) == {"gate", "far"}


def machine(**more):
    return {"id": "i", "name": "m", "primaryIp": "dhcp", "ips": ["dhcp", "198.51.100.7"],
            "nics": [{"ip": "dhcp", "network": "n1"}, {"ip": "198.51.100.7", "network": "n2"}],
            **more}  # fmt: skip


def test_dhcp_is_passed_over():
    names = {"n1": "lan", "n2": "wan"}
    assert addresses.chooser(["primary", "internal"], names)(machine()) is None
    assert addresses.chooser(["lan", "wan"], names)(machine()) == "198.51.100.7"
    assert addresses.chooser(["primary", "external"], names)(machine()) == "198.51.100.7"
    with pytest.raises(UsageError, match="networks: lan, wan"):
        addresses.chooser(["wann"], names)
    with pytest.raises(UsageError, match="known: name"):
        filters.matcher([{"colour": "red"}], [], {}, {})


@pytest.mark.parametrize(
    ("ips", "external", "internal", "innermost"),
    [
        ("203.0.113.7 10.0.0.1", "203.0.113.7", "10.0.0.1", "10.0.0.1"),
        ("10.0.0.1 203.0.113.7", "203.0.113.7", "10.0.0.1", "10.0.0.1"),
        ("100.64.0.5 10.99.0.5", "100.64.0.5", "10.99.0.5", "10.99.0.5"),
        ("203.0.113.7 100.64.0.5", "203.0.113.7", "100.64.0.5", "100.64.0.5"),
        ("203.0.113.7 10.0.0.1 100.64.0.5", "203.0.113.7", "10.0.0.1 100.64.0.5", "10.0.0.1"),
        ("100.64.0.5", "100.64.0.5", "", "100.64.0.5"),
        ("192.168.0.1 fd00::1", "", "192.168.0.1 fd00::1", "fd00::1"),
        ("2001:db8::1 100.64.0.5", "2001:db8::1", "100.64.0.5", "100.64.0.5"),
        ("203.0.113.7 198.51.100.4", "203.0.113.7 198.51.100.4", "", "198.51.100.4"),
        ("", "", "", "None"),
    ],
)
def test_inside_and_outside(ips, external, internal, innermost):
    """An address of RFC 6598 is what the others of its machine are not."""
    record = {"ips": ips.split(), "id": "i"}
    known = addresses.addresses(record)
    assert [" ".join(map(str, part)) for part in addresses.split(known)] == [external, internal]
    assert str(addresses.innermost(known)) == innermost
    for word, wanted in (("external", external), ("internal", internal)):
        assert addresses.chooser([word], {})(record) == (wanted.split() or [None])[0]


def proxy(host):
    words = shlex.split(host["ansible_ssh_common_args"])
    found = [word for word in words if word.startswith("ProxyCommand=")]
    return shlex.split(found[0].removeprefix("ProxyCommand=")) if found else None


def test_tags_of_the_triton_command(hosts):
    found = hosts()
    assert found["far"]["ansible_host"] == "192.0.2.9" and found["far"]["ansible_port"] == 2222
    assert proxy(found["web-1"]) is None and proxy(found["gate"]) is None
    command = proxy(found["web-2"])
    gate = found["gate"]
    assert command[-4:] == ["-W", "%h:%p", "--", gate["ansible_host"]]
    assert command[command.index("-l") + 1] == "bob"
    assert f"HostKeyAlias={gate['sdc_id']}" in command


def test_jump_host_for_all(hosts):
    found = hosts(jump_host="gate", exclude=[{"name": "gate"}])
    assert proxy(found["web-1"])[proxy(found["web-1"]).index("-l") + 1] == "root"
    found = hosts(jump_host="me@bastion.example.com:2022")
    command = proxy(found["gate"])
    assert command[-1] == "bastion.example.com" and "HostKeyAlias" not in " ".join(command)
    assert command[command.index("-p") + 1] == "2022" and command[command.index("-l") + 1] == "me"


def test_two_data_centers_and_duplicate_names(tmp_path, cloud, tmp_path_factory):
    other = Cloud(tmp_path_factory.mktemp("other"))
    try:
        run_module("sdc_machine", **other.access, **OFFER, name="web-1", tags={"role": "web"})
        text = write(sources=[cloud.access, other.access], group_by=["role"])
        cloud.requests.clear()
        listing, stderr = inventory(tmp_path, text, {}, warnings=True)
    finally:
        other.stop()
    assert "2 machines are called 'web-1'; as hosts: web-1-" in stderr
    assert len(cloud.requests) == len([r for r in other.requests if r[0] == "GET"][-1:]) == 1
    twins = listing["web_1"]["hosts"]
    assert len(twins) == 2 and all(twin.startswith("web-1-") for twin in twins)
    assert set(listing["role_web"]["hosts"]) == {*twins, "web-2"}
    assert "web-1" not in listing["_meta"]["hostvars"]


def test_a_source_without_a_data_center_hides_no_other(tmp_path, cloud):
    text = write(sources=[{"profile": "embedded"}, cloud.access], include=[{"name": "far"}])
    listing, stderr = inventory(tmp_path, text, {}, warnings=True)
    assert set(listing["_meta"]["hostvars"]) == {"far"}
    assert "no machines, because no data center" in " ".join(stderr.split())


def test_stale_answer_only_on_request_and_with_a_warning(tmp_path, tmp_path_factory):
    cloud = Cloud(tmp_path_factory.mktemp("cloud"))
    cache = {"cache": True, "cache_plugin": "jsonfile", "cache_connection": "cache"}
    cache |= {"cache_timeout": 1}
    text = write(**cache, cache_stale_on_error=True)
    try:
        run_module("sdc_machine", **cloud.access, **OFFER, name="old")
        first, _ = inventory(tmp_path, text, cloud.environment)
        time.sleep(1.2)
        cloud.requests.clear()
        inventory(tmp_path, text, cloud.environment)
        assert len(cloud.requests) == 1, "what is old is asked for again"
    finally:
        cloud.stop()
    time.sleep(1.2)
    stale, stderr = inventory(tmp_path, text, cloud.environment, warnings=True)
    assert stale == first and "as they were" in stderr and "cannot connect" in stderr
    without, _ = inventory(tmp_path, write(**cache), cloud.environment, warnings=True)
    assert without["_meta"]["hostvars"] == {}


WRONG = [
    ({"selectr": {"role": "web"}}, "option 'selectr' is unknown - nearest: selector"),
    ({"filters": []}, "option 'filters' is unknown"),
    ({"sources": [{"uri": "x"}]}, "sources: option 'uri' is unknown - nearest: url"),
    ({"sources": ["east"]}, "sources: 'east' is not a mapping"),
    ({"sources": [{"insecure": "maybe"}]}, "sources: insecure: 'maybe' is neither true nor false"),
    ({"insecure": "maybe"}, "insecure: 'maybe' is neither true nor false"),
    ({"strict": "sometimes"}, "strict: 'sometimes' is neither true nor false"),
    ({"cache_stale_on_error": 2}, "cache_stale_on_error: 2 is neither true nor false"),
    ({"cache_timeout": -1}, "cache_timeout: -1 is not a number from 0 upwards"),
    ({"cache_timeout": "soon"}, "cache_timeout"),
    ({"states": ["nope"]}, "states: machines are in no list with the state 'nope'"),
    ({"states": "running, deleted"}, "with the state 'deleted'"),
    ({"states": []}, "states: is empty"),
    ({"states": [["running"]]}, "states: ['running'] is not a word"),
    ({"selector": {"a": [1]}}, "selector: 'a' must be a string"),
    ({"selector": "role=web"}, "selector"),
    ({"selector": {"a": "x=y"}}, "selector: 'a' has one of ="),
    ({"include": [{"colour": "red"}]}, "include: filter on unknown property 'colour'"),
    ({"exclude": [{}]}, "exclude: filter {} is not a mapping"),
    ({"include": "web-*"}, "include: 'web-*' is not a list of mappings"),
    ({"include": [{"name": {"a": 1}}]}, "include: name: {'a': 1} is neither a pattern"),
    ({"include": [{"name": []}]}, "include: name: [] is neither a pattern"),
    ({"exclude": [{"state": "runing"}]}, "exclude: state: 'runing' is no state: running"),
    ({"group_by": ["colour"]}, "group_by"),
    ({"address": ["lan"]}, "networks: "),
    ({"address": []}, "address: is empty"),
    ({"jump_host": "a:b"}, "[user@]host[:port]"),
    ({"jump_host": "{{ gateway }}"}, "jump_host: '{{ gateway }}' would not be evaluated"),
    ({"selector": {"cluster": "{{ cluster }}"}}, "selector: '{{ cluster }}' would not be"),
    ({"include": [{"{% if x %}": "y"}]}, "include: '{% if x %}' would not be evaluated"),
    ({"ssh_user": ""}, "ssh_user: is empty"),
    ({"ssh_user": ["root"]}, "ssh_user"),
    ({"keyed_groups": [{"kye": "sdc_tags"}]}, "keyed_groups: option 'kye' is unknown"),
    ({"keyed_groups": [{"prefix": "x"}]}, "keyed_groups: an entry has no key"),
    ({"keyed_groups": [{"key": "x", "default_value": "y", "trailing_separator": False}]},
     "keyed_groups: default_value and trailing_separator exclude each other"),
    ({"keyed_groups": [{"key": "sdc_name", "prefix": "{{ x }}"}]}, "keyed_groups: prefix: '{{ x"),
    ({"keyed_groups": [{"key": "{{ sdc_name }}"}]}, "keyed_groups: key: '{{ sdc_name }}'"),
    ({"compose": {"x": "{{ sdc_name }}"}}, "compose: x: '{{ sdc_name }}'"),
    ({"compose": {"x": "plain words"}}, "compose: x: 'plain words'"),
    ({"compose": {"x": 5}}, "compose: x: 5 is no text"),
    ({"groups": {"x": "sdc_name =="}}, "groups: x: 'sdc_name =='"),
]  # fmt: skip


def test_wrong_options(tmp_path, cloud):
    """A file for each, all in one folder: each is an error that names the option."""
    folder = tmp_path / "inventory"
    folder.mkdir()
    for number, (options, _) in enumerate(WRONG):
        (folder / f"{number}.sdc.yml").write_text(write(**options))
    listing, stderr = run_inventory(tmp_path, folder, cloud.environment, warnings=True)
    assert "Traceback" not in stderr and listing["_meta"]["hostvars"] == {}
    parts = stderr.split("[WARNING]: Failed to parse inventory with 'sdc' plugin")
    texts = {}
    for part in parts[1:]:
        number = re.search(r"inventory/(\d+)\.sdc\.yml", part).group(1)
        texts[int(number)] = " ".join(part.split())
    for number, (options, words) in enumerate(WRONG):
        assert words in texts.get(number, ""), (options, texts.get(number))


def test_right_options(tmp_path, cloud):
    """What is next to an error and none."""
    options = {
        "insecure": "no", "strict": "yes", "states": "running, stopped", "group_by": [],
        "selector": {"role": "web", "hot": True}, "ssh_config": None, "sources": [{"user": None}],
        "include": [{"name": "web-*", "state": ["run*"]}], "cache_timeout": "60",
        "compose": {"words": "'plain {{ words'", "number": "5"},
        "groups": {"all_of_it": True, "odd": "sdc_memory % 2 == 1"},
        "keyed_groups": [{"key": "sdc_tags", "parent_group": "tags_{{ sdc_tags.role }}"}],
    }  # fmt: skip
    listing, _ = inventory(tmp_path, write(**options), cloud.environment)
    found = listing["_meta"]["hostvars"]
    assert set(found) == {"web-1"} and found["web-1"]["words"] == "plain {{ words"
    assert listing["all_of_it"]["hosts"] == ["web-1"] and "odd" not in listing
    assert set(listing["tags_web"]["children"]) >= {"_role_web", "_hot_True"}


def test_examples_are_written_in_the_plugins_own_options():
    command = [TOOL.with_name("ansible-doc"), "-t", "inventory", "sdc", "--json"]
    environment = {**without_settings(), "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    page = json.loads(done.stdout)["sdc"]
    examples = list(yaml.safe_load_all(page["examples"]))
    options = page["doc"]["options"]
    kinds = {"str": str, "path": str, "bool": bool, "int": int, "list": list, "dict": dict}
    assert len(examples) >= 8
    for example in examples:
        assert example["plugin"] == "sdc"
        for name, value in example.items():
            assert isinstance(value, kinds[options[name]["type"]]), (name, value)
