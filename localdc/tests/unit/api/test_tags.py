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
