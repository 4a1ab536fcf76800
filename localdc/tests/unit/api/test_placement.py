"""Compute nodes, affinity and locality.

Rules are read as sdc-cloudapi's lib/triton-affinity.js made of them, and kept as sdc-designation
does: lib/algorithms/shared/affinity.js, hard- and soft-filter-locality-hints.js.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections import Counter
from pathlib import Path

import pytest

from localdc.api.engine.affinity import parse
from localdc.api.errors import ApiError
from localdc.api.settings import DataCenterSettings

from .harness import BASE64, error
from .signer import Key, Signer

REPOSITORY = Path(__file__).resolve().parents[4]
CORPUS = Path(
    os.environ.get("AFFINITY_CORPUS") or REPOSITORY.parent / "shared/corpus/affinity-rules.json"
)


def reading(text):
    """What a rule is, or why it is none."""
    try:
        rule = parse(text)
    except ApiError as refused:
        assert (refused.status, refused.code) == (409, "InvalidArgument")
        return {"refused": refused.message}
    parsed = {"key": rule.key, "operator": rule.operator, "value": rule.value}
    return {"parsed": {**parsed, "isSoft": rule.soft, "valueType": rule.value_type}}


@pytest.mark.skipif(not CORPUS.exists(), reason=f"no rules at {CORPUS}; set AFFINITY_CORPUS")
def test_rules_are_read_as_the_original_does():
    rules = json.loads(CORPUS.read_text())
    found = [{"rule": rule["rule"], **reading(rule["rule"])} for rule in rules]
    assert len(rules) > 30 and found == rules


# Each was given to lib/triton-affinity.js.
KEY = r"/^[a-z_][a-z0-9\-_.]+$/i"
VALUE = r"/^[-a-z0-9:_\s.*/()?+[\]\\^$|]+$/i"
NO_OPERATOR = 'could not find operator in affinity rule: expected one of "==", "!=": '


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("foobar", f"{NO_OPERATOR}'foobar'"),
        ("a\\b", rf"{NO_OPERATOR}'a\\b'"),
        ("a\nb", rf"{NO_OPERATOR}'a\nb'"),
        ("it's==x", f'invalid key in affinity rule: "it\'s==x": "it\'s" does not match {KEY}'),
        ("a==x", f"invalid key in affinity rule: 'a==x': 'a' does not match {KEY}"),
        ("aa!=b==c", f"invalid key in affinity rule: 'aa!=b==c': 'aa!=b' does not match {KEY}"),
        ("aa==~", f"invalid value in affinity rule: 'aa==~': '' does not match {VALUE}"),
        (
            "aa==\u017f",
            f"invalid value in affinity rule: 'aa==\u017f': '\u017f' does not match {VALUE}",
        ),
    ],
)
def test_what_is_no_rule(text, message):
    assert reading(text) == {"refused": message}


@pytest.mark.parametrize(
    ("text", "value_type"),
    [("aa==/x/", "re"), ("aa==//", "exact"), ("aa==/*/", "re"), ("aa==/*", "glob")],
)
def test_kinds_of_values(text, value_type):
    assert reading(text)["parsed"]["valueType"] == value_type


def nodes(dc, number=3):
    return [dc.settings.node_uuid(index) for index in range(number)]


def ids(dc):
    return {machine["name"]: machine["id"] for machine in dc.get("/my/machines").json()}


def node(dc, uuid):
    return dc.machine(uuid)["compute_node"]


def ask(dc, **wish):
    return dc.post("/my/machines", json={"image": BASE64, "package": "sample-512M", **wish})


def why(dc, **wish):
    """Why there is no compute node for the wish."""
    status, code, message = error(ask(dc, **wish))
    assert (status, code) == (409, "InsufficientCapacity")
    return message.removeprefix("No compute resources available: ")


@pytest.fixture
def three(dc):
    """A data center whose machines zero, one and two are on a compute node each."""
    for number, name in enumerate(("zero", "one", "two")):
        dc.create(name, **{"tag.role": "web" if number else "db", "tag.rank": number})
    assert [node(dc, uuid) for uuid in ids(dc).values()] == nodes(dc)
    return dc


def test_machines_are_spread(start):
    dc = start()
    machines = [dc.create(f"m{number}") for number in range(7)]
    assert Counter(node(dc, uuid) for uuid in machines) == {
        first: 3 if first == dc.settings.server_uuid else 2 for first in nodes(dc)
    }
    assert {spec.server_uuid for spec in dc.compute.zones.values()} == set(nodes(dc))


def test_the_node_with_the_most_memory_left(dc):
    big = [dc.create(f"big-{number}", package="sample-2G") for number in range(2)]
    small = [dc.create(f"small-{number}") for number in range(4)]
    assert [node(dc, uuid) for uuid in (*big, *small)] == [
        *nodes(dc),
        *([nodes(dc)[2]] * 3),
    ]


def test_machines_of_another_account_only_take_memory(dc):
    """sdc-designation, soft-filter-locality-hints.js, on near and far of other owners."""
    other = Key("ed25519")
    dc.admin("POST", "accounts", json={"login": "other", "key": other.line})
    mine = dc.create("mine")

    def ask_as_other(**wish):
        body = {"image": BASE64, "package": "sample-512M", **wish}
        signer = Signer(other, login="other", algorithm="ed25519-sha512")
        return dc.post("/other/machines", json=body, auth=signer)

    dc.admin("PUT", "settings", json={"compute_nodes": 1})
    assert ask_as_other(locality={"strict": True, "near": [mine]}).status_code == 409
    assert ask_as_other(affinity="instance==mine").status_code == 409
    assert ask_as_other(locality={"strict": True, "far": [mine]}).status_code == 201
    dc.admin("PUT", "settings", json={"compute_nodes": 3})
    theirs = ask_as_other(affinity="instance!=mine").json()["id"]
    dc.settle()
    assert dc.compute.zones[theirs].server_uuid == nodes(dc)[1]


def test_a_machine_keeps_its_node(start, tmp_path):
    dc = start()
    machines = [dc.create(f"m{number}") for number in range(3)]
    dc.act(machines[2], "stop")
    dc.act(machines[2], "start")
    dc.act(machines[1], "resize", package="sample-1G")
    dc.stop()
    again = start(compute_nodes=1)
    again.settle()
    assert [node(again, uuid) for uuid in machines] == nodes(dc)
    assert node(again, again.create("new")) == nodes(dc)[0]
    assert (
        why(again, affinity="instance!=m0") == "no servers with requested hard locality considered"
    )


def test_one_compute_node(start):
    dc = start(compute_nodes=1)
    one, two = dc.create("one"), dc.create("two", affinity="instance!=~one")
    assert node(dc, one) == node(dc, two) == dc.settings.server_uuid


@pytest.mark.parametrize(
    ("affinity", "where"),
    [
        ("instance==one", {1}),
        ("container==one", {1}),
        ("instance==o*", {1}),
        ("instance==/^o.e$/", {1}),
        ("instance==ONE", {1}),
        ("role==db", {0}),
        ("rank==2", {2}),
        ("rank==/[12]/", None),
        ("role==web", None),
        (["instance==one", "instance==two"], None),
        (["instance==one", "instance==/n/"], {1}),
        ("instance!=one", {0, 2}),
        ("role!=web", {0}),
        ("role!=w*", {0}),
        ("role!=/^[dw]/", None),
        (["role!=web", "instance!=zero"], None),
        (["role!=web", "instance==one"], None),
        ("instance!=nobody", {0, 1, 2}),
        ("role==~web", {1, 2}),
        ("role!=~web", {0}),
        ("role!=~*", {0, 1, 2}),
        ("instance==~nobody", {0, 1, 2}),
        (["instance!=~zero", "instance==~zero"], {1, 2}),
        (["instance!=~zero", "role==~web"], {1, 2}),
        # a strict rule makes soft ones void
        (["instance==zero", "instance!=~zero"], {0}),
        # sdc-designation knows parts of an id for machines of docker only
        ("instance==~PART", {0, 1, 2}),
        ("image==~x", {0, 1, 2}),
        ("image==x", {0, 1, 2}),
        # a tag of that name, which no machine has
        ("Instance==~one", {0, 1, 2}),
        ("instance!=.*", {0, 1, 2}),
        ([], {0, 1, 2}),
    ],
)
def test_rules(three, affinity, where):
    one = ids(three)["one"]
    text = json.dumps(affinity).replace("ONE", one).replace("PART", one.partition("-")[0])
    answer = ask(three, affinity=json.loads(text))
    if where is None:
        assert error(answer)[:2] == (409, "InsufficientCapacity")
        return
    assert answer.status_code == 201, answer.text
    three.settle()
    assert node(three, answer.json()["id"]) in {nodes(three)[number] for number in where}


@pytest.mark.parametrize(
    ("locality", "where"),
    [
        ({"near": "one"}, {1}),
        ({"near": ["one", "two"]}, {1, 2}),
        ({"far": ["one"]}, {0, 2}),
        ({"far": ["zero", "one", "two"], "near": ["one"]}, {1}),
        ({"far": ["one"], "near": ["one", "two"]}, {2}),
        ({"strict": True, "near": ["one"]}, {1}),
        ({"strict": True, "near": ["one", "two"]}, None),
        ({"strict": True, "far": ["zero", "two"]}, {1}),
        ({"strict": True, "far": ["zero", "one", "two"]}, None),
        ({"strict": True, "far": ["one"], "near": ["one"]}, None),
        ({"strict": True, "near": ["GONE"]}, None),
        ({"strict": True, "far": ["GONE"]}, {0, 1, 2}),
        ({"strict": True}, {0, 1, 2}),
    ],
)
def test_locality(three, locality, where):
    text = json.dumps(locality).replace("GONE", "0" * 8 + "-0000-4000-8000-" + "0" * 12)
    for name, uuid in ids(three).items():
        text = text.replace(f'"{name}"', f'"{uuid}"')
    answer = ask(three, locality=json.loads(text))
    if where is None:
        assert error(answer)[:2] == (409, "InsufficientCapacity")
        return
    assert answer.status_code == 201, answer.text
    three.settle()
    assert node(three, answer.json()["id"]) in {nodes(three)[number] for number in where}


def test_why_a_strict_wish_cannot_be_kept(three):
    """sdc-designation's reasons, in the sentence of sdc-cnapi (lib/errors.js)."""
    one, two = ids(three)["one"], ids(three)["two"]
    assert why(three, affinity="instance==nobody") == (
        'no active containers found matching "nobody" for affinity "instance==nobody"'
    )
    assert why(three, affinity=["role==cache"]) == (
        'no active containers found matching tag "role=cache" for affinity "role==cache"'
    )
    assert why(three, affinity="role==web") == f"exclude: inst=={one},{two}"
    assert why(three, affinity=["role!=*"]) == "no servers with requested hard locality considered"
    assert len(three.get("/my/machines").json()) == 3


def test_machines_that_are_gone_are_near_nothing(three):
    three.delete(f"/my/machines/{ids(three)['one']}")
    three.settle()
    assert "no active containers" in why(three, affinity="instance==one")
    answer = ask(three, affinity=["instance!=zero", "instance!=two"])
    assert answer.status_code == 201


def test_machines_count_before_they_run(start):
    dc = start()
    wish = {"affinity": "role!=engine", "tag.role": "engine"}
    made = [ask(dc, **wish) for _ in range(3)]
    assert [answer.json()["compute_node"] for answer in made] == [None] * 3
    assert "hard locality" in why(dc, **wish)
    dc.settle()
    assert {node(dc, answer.json()["id"]) for answer in made} == set(nodes(dc))


@pytest.mark.parametrize(
    ("wish", "code", "message"),
    [
        ({"affinity": ["instance==/(/"]}, "InvalidArgument", "affinity rule 'instance==/(/': "),
        ({"affinity": [5]}, "InvalidArgument", "must be an array of strings"),
        ({"affinity": [""]}, "InvalidArgument", f"{NO_OPERATOR}''"),
        (
            {"affinity": "aa==b", "locality": {"near": []}},
            "InvalidArgument",
            'cannot specify both "locality" (deprecated) and "affinity"',
        ),
        ({"locality": "near"}, "ValidationFailed", "malformed locality object"),
        ({"locality": {"near": 5}}, "ValidationFailed", "neither string nor array"),
        ({"locality": {"far": ["x"]}}, "ValidationFailed", "locality contains malformed UUID"),
        ({"locality": {"strict": "true"}}, "ValidationFailed", "not boolean"),
    ],
)
def test_wishes_that_make_no_sense(shared, wish, code, message):
    answer = ask(shared, **wish)
    assert error(answer)[:2] == (409, code)
    said = [answer.json()["message"], *(e["message"] for e in answer.json().get("errors", []))]
    assert message in said[-1]


def test_the_number_of_nodes_is_a_setting(dc):
    assert dc.admin("GET", "settings").json()["compute_nodes"] == 3
    assert dc.admin("PUT", "settings", json={"compute_nodes": 5}).json()["compute_nodes"] == 5
    for bad in (0, 1001, "4", 2.5, True, None):
        refused = dc.admin("PUT", "settings", json={"compute_nodes": bad, "throttle": None})
        assert error(refused)[:2] == (409, "InvalidArgument"), bad
    machines = [dc.create(f"m{number}", affinity="instance!=m*") for number in range(5)]
    assert {node(dc, uuid) for uuid in machines} == set(nodes(dc, 5))
    with pytest.raises(ValueError, match="compute nodes"):
        DataCenterSettings(compute_nodes=0)


def test_state_from_before_there_were_several_nodes(start, tmp_path):
    dc = start()
    old, waiting = dc.create("old"), dc.create("waiting")
    dc.stop()
    db = sqlite3.connect(tmp_path / "state.db")
    db.execute("DROP INDEX machines_by_node")
    db.execute("ALTER TABLE machines DROP COLUMN compute_node")
    for uuid, place in ((old, dc.settings.server_uuid), (waiting, None)):
        db.execute(
            "UPDATE machines SET record = json_set(record, '$.compute_node', ?) WHERE uuid = ?",
            (place, uuid),
        )
    # The second one was ordered, and the data center ended before it came to it.
    db.execute(
        "UPDATE machines SET state = 'provisioning',"
        " record = json_set(record, '$.state', 'provisioning', '$.nics', json('[]'))"
        " WHERE uuid = ?",
        (waiting,),
    )
    db.execute("DELETE FROM addresses WHERE machine = ?", (waiting,))
    db.execute("UPDATE jobs SET state = 'queued', finished = NULL WHERE machine = ?", (waiting,))
    db.execute("PRAGMA user_version = 3")
    db.commit()
    db.close()

    again = start()
    again.settle()
    assert node(again, old) == dc.settings.server_uuid
    assert again.machine(waiting)["state"] == "running"
    assert node(again, waiting) == nodes(dc)[1]
    assert node(again, again.create("new")) == nodes(dc)[2]
    assert node(again, again.create("near", affinity="instance==old")) == nodes(dc)[0]
