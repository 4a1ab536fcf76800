"""Tags of Triton's own, against what triton-tags 1.5.0 made of them, and who says what of them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from localdc.api.tritontags import problem

from .harness import BASE64

REPOSITORY = Path(__file__).resolve().parents[4]
CORPUS = Path(os.environ.get("TAGS_CORPUS") or REPOSITORY.parent / "shared/corpus/triton-tags.json")
BAD = {"triton.cns.services": "a b"}
WHY = 'invalid "triton.cns.services" tag: Expected ",", ":", or end of input but " " found.'


def refused(answer):
    """The message of the one bad tag; None = none is bad."""
    if answer.ok:
        return None
    assert answer.status_code == 409 and answer.json()["code"] == "ValidationFailed", answer.text
    (error,) = answer.json()["errors"]
    assert (error["field"], error["code"]) == ("tags", "Invalid")
    return error["message"]


@pytest.mark.skipif(not CORPUS.exists(), reason=f"no tags at {CORPUS}; set TAGS_CORPUS")
def test_tags_are_judged_as_the_original_does(dc):
    tags = json.loads(CORPUS.read_text())
    uuid = dc.create()
    assert len(tags) > 40
    for tag in tags:
        key, value, expected = tag["key"], tag["value"], tag.get("refused")
        path = f"/my/machines/{uuid}/tags"
        assert refused(dc.post(path, json={key: value})) == expected, tag
        assert refused(dc.put(path, json={key: value})) == expected, tag
        body = {"image": BASE64, "package": "sample-512M", f"tag.{key}": value}
        assert refused(dc.post("/my/machines", json=body)) == expected, tag
        dc.settle()


def test_where_a_bad_tag_is_told(dc):
    """sdc-cloudapi, lib/tags.js and lib/machines.js; sdc-vmapi, lib/endpoints/metadata.js."""
    uuid = dc.create()
    added = dc.post(f"/my/machines/{uuid}/tags", json=BAD)
    replaced = dc.put(f"/my/machines/{uuid}/tags", json=BAD)
    body = {"name": "two", "image": BASE64, "package": "sample-512M"}
    created = dc.post("/my/machines", json={**body, **{f"tag.{k}": v for k, v in BAD.items()}})
    told = [answer.json()["message"] for answer in (added, replaced, created)]
    assert told == [
        "error adding tags: Invalid tag parameters",
        "error replacing tags: Invalid tag parameters",
        "Invalid VM parameters: Invalid tags",
    ]
    assert [refused(answer) for answer in (added, replaced, created)] == [WHY] * 3
    assert dc.machine(uuid)["tags"] == {} and len(dc.get("/my/machines").json()) == 1


def test_values_that_no_tag_can_have(dc):
    """sdc-vmapi, lib/common/validation.js, validMetadata."""
    uuid = dc.create()
    answer = dc.post(f"/my/machines/{uuid}/tags", json={"x": [1]})
    expected = {"field": "tags.x", "code": "Invalid", "message": "Forbidden Data Type"}
    assert answer.json()["errors"] == [expected]


AS_READ = [
    ({"a": "a%2Db", "b": "x%3Dy", "c": "a-b", "d=-": "e=f"}, {"a": "a-b", "b": "x=y"}),
    ({"a": "%n{5}", "b": "%b{true}", "c": "%n{-.5}", "d": "%n{1e3}", "e": "true", "f": "5"},
     {"a": 5, "b": True, "c": -0.5}),
    ({"a": 2**53, "b": -5, "c": 1.5, "d": 0, "e": False}, {}),
    ({"a": 10**21, "b": 1e-7, "c": 1e-6, "d": 3.3e25},
     {"a": "%n{1e+21}", "b": "%n{1e-7}", "d": "%n{3.3e+25}"}),
]  # fmt: skip


@pytest.mark.parametrize(("given", "changed"), AS_READ)
def test_some_values_come_back_as_others(dc, given, changed):
    """What sdc-vmapi's lib/common/vm-common.js (d813531), run by node, made of them."""
    new = dc.create(**{f"tag.{key}": value for key, value in given.items()})
    old = dc.create("old")
    # as sent, but for numbers, which node has read by then
    sent = {key: int(float(v)) if type(v) is int else v for key, v in given.items()}
    assert dc.post(f"/my/machines/{old}/tags", json=given).json() == sent
    dc.settle()
    assert dc.machine(new)["tags"] == dc.machine(old)["tags"] == {**given, **changed}
    assert dc.put(f"/my/machines/{old}/tags", json={"a": "%2D"}).json() == {"a": "%2D"}
    dc.settle()
    assert dc.get(f"/my/machines/{old}/tags").json() == {"a": "-"}


FOUND = [
    ("a", "a-b", "a-b", True), ("a", "a b: /@ü", "a b: /@ü", True), ("a", "a*", "a*", True),
    ("a", "abc", "a*c", True), ("a-b", "x", "x", True), ("a", True, "true", True),
    ("a", "true", "true", True), ("a", 5, "5", True), ("a", "5", "5", True),
    ("a", 1.5, "1.5", True),
    ("a", 5, "5.0", False), ("a", "a=b", "a=b", False), ("a=b", "x", "x", False),
    ("a", -5, "-5", False), ("a", "-1", "-1", False), ("a", "1e-3", "1e-3", False),
    ("a", 12345678901234567, "12345678901234567", False), ("a", "a-b", "a%2Db", True),
    ("a", "xa", "a", False), ("a", "A", "a", False),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "wanted", "found"), FOUND)
def test_some_values_are_never_found(dc, name, value, wanted, found):
    """sdc-vmapi, lib/apis/moray.js (_addTagsFilter); the filters were made by it, run by node."""
    uuid = dc.create(**{f"tag.{name}": value, "tag.zz": "other"})
    dc.create("other", **{"tag.zz": "x"})
    listed = dc.get("/my/machines", params={f"tag.{name}": wanted}).json()
    assert [machine["id"] for machine in listed] == ([uuid] if found else [])


@pytest.mark.parametrize("text", ["a(b", "a)b", "a\\b"])
def test_what_ends_a_filter_is_refused(dc, text):
    assert dc.get("/my/machines", params={"tag.a": text}).status_code == 409


SERVICES = "triton.cns.services"
# Each was given to triton-tags 1.5.0.
SAID = [
    ("web:80:priority=1:weight=65535,_sip._tcp", None),
    ("web,", "Expected DNS name but end of input found."),
    ("_sip", 'Expected DNS name but "_" found.'),
    ("web:", "Expected integer (port number) or property name but end of input found."),
    ("web:80:8", 'Expected property name but "8" found.'),
    ("web:weight=", "Expected property value but end of input found."),
    ("web:80\t", r'Expected ",", ":", or end of input but "\t" found.'),
    ("web\x01", r'Expected ",", ":", or end of input but "\x01" found.'),
    ("web:port=x", "service port number for web must be within the range 1 - 65535"),
    ("web:weight=-1", "service weight for web must be within the range 0 - 65535"),
    ("Web:colour=red", 'service property "colour" is not a valid property name'),
    ("web:weight=9x,db:x=1", 'service property "x" is not a valid property name'),
]


@pytest.mark.parametrize(("value", "expected"), SAID)
def test_services(value, expected):
    assert problem(SERVICES, value) == (expected and f'invalid "{SERVICES}" tag: {expected}')


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (",".join(map(str, range(100))), None),
        (",".join(map(str, range(101))), "must contain less than or equal to 100 group strings"),
        ("a,b,a", "contains duplicate group a"),
    ],
)
def test_groups(value, expected):
    key = "triton.cmon.groups"
    assert problem(key, value) == (expected and f'invalid "{key}" tag: {expected}')


def test_numbers_are_shown_as_javascript_does():
    assert problem(SERVICES, 1.0) == f'Triton tag "{SERVICES}" value must be a string: 1 (number)'
