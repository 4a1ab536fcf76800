"""The table of probes of playbooks/verify.yml, what is kept of answers, and what is left out."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from smartdc.verify.answers import ASPECTS, Reply, kept, shape
from smartdc.verify.blanks import Blanks
from smartdc.verify.machine import answers, script
from smartdc.verify.report import differences, markdown, silent

ROOT = Path(__file__).parents[3]
ROLE = ROOT / "roles" / "sdc_verify"
TABLES: dict[str, list[dict[str, Any]]] = {
    name: probes
    for file in ("account", "machine", "inside")
    for name, probes in yaml.safe_load((ROLE / "vars" / f"{file}.yml").read_text()).items()
}
ASKED = [probe for probes in TABLES.values() for probe in probes if "ask" in probe]
RUN = [probe for probes in TABLES.values() for probe in probes if "run" in probe]
EXPECTED: dict[str, Any] = json.loads((ROLE / "files" / "expected.json").read_text())
GIVEN = {"login", "host", "public_key", "name", "package", "machine"}


def test_every_probe_has_a_name_of_its_own_and_says_what_rests_on_it() -> None:
    names = [probe["name"] for probe in ASKED + RUN]
    assert len(names) == len(set(names)) >= 80
    assert all(probe["assumes"].strip().endswith(".") for probe in ASKED + RUN)
    assert set(EXPECTED) == set(names), "record anew: CONTRIBUTING.md"


def test_the_page_has_the_table() -> None:
    subprocess.run([sys.executable, ROOT / "tools" / "describe-probes", "--check"], check=True)


def test_probes_ask_for_what_earlier_ones_have_found() -> None:
    known = set(GIVEN)
    for probe in ASKED:
        text = probe["ask"] + json.dumps(probe.get("send", ""))
        assert set(re.findall(r"\{(\w+)\}", text)) <= known, probe["name"]
        assert set(probe.get("keep", {})) <= ASPECTS, probe["name"]
        known |= set(probe.get("remember", {}))


def test_nothing_is_made_without_the_mark_by_which_it_is_deleted() -> None:
    made = [
        probe for probe in ASKED if re.match(r"POST /my/(machines|keys|fwrules)$", probe["ask"])
    ]
    assert len(made) > 8
    for probe in made:
        sent = probe["send"]
        mark = sent.get("tag.sdc_verify") or sent.get("description") or sent.get("name")
        assert mark in ("yes", "sdc-verify"), probe["name"]


@pytest.mark.parametrize("name", EXPECTED)
def test_any_other_answer_is_found(name: str) -> None:
    aspects = [aspect for aspect, value in EXPECTED[name].items() if value != "empty"]
    for aspect in aspects:
        other = {**EXPECTED, name: {**EXPECTED[name], aspect: ["something else"]}}
        (found,) = differences(EXPECTED, other)
        assert (found.probe, found.aspect) == (name, aspect)
        text = markdown("t", ASKED + RUN, EXPECTED, other, {})
        assert f"## {name}" in text and "+something else" in text
    assert aspects


def test_the_same_answers_are_no_difference() -> None:
    assert list(differences(EXPECTED, EXPECTED)) == []


def test_what_says_nothing_is_not_compared() -> None:
    one, none = {"a": {"status": 200, "shape": {"id": "text"}}}, {"a": {"shape": "empty"}}
    assert [found.aspect for found in differences(one, none)] == ["status"]
    assert silent(one, none) == ["a"]


def test_shapes() -> None:
    assert shape({"b": 1, "a": None, "c": [], "d": True}) == {
        "a": "null", "b": "number", "c": "list", "d": "bool",
    }  # fmt: skip
    assert shape([{"a": 1, "b": "x"}, {"a": "y"}]) == {"a": "number or text", "b?": "text"}
    assert shape([]) == "empty" and shape(["x", 1]) == ["number", "text"] and shape("x") == "text"


def test_what_is_kept() -> None:
    reply = Reply(409, {"Server": "x"}, {"code": "A", "message": "b", "n": None})
    keep = {"code": True, "headers": ["Server", "Date"], "fields": ["n", "m"]}
    assert kept({"keep": keep}, reply) == {
        "status": 409, "code": "A", "headers": {"Server": "text", "Date": "absent"},
        "fields": {"n": None, "m": "absent"},
    }  # fmt: skip
    named = Reply(200, {}, [{"name": "b"}, {"name": "a"}, {"name": "b"}])
    assert kept({"keep": {"values": "name"}}, named)["values"] == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "blank"),
    [
        ("VM 0a1b2c3d-0000-4000-8000-0123456789ab of acme", "VM <id> of <login>"),
        ("acmeville is not acme-2", "acmeville is not acme-2"),
        ("10.88.0.7 and 127.0.0.1, 255.255.252.0", "<address> and 127.0.0.1, 255.255.252.0"),
        ("ether 90:b8:d0:2f:b8:f9", "ether <mac>"),
        ("2:8:20:a:b:c", "<mac>"),
        (":".join(["ab"] * 16), "<fingerprint>"),
        ("ssh-rsa AAAAB3Nz me@laptop", "<key>"),
        ("2026-01-02T03:04:05.678Z", "<time>"),
        ("joyent_20260101T000000Z", "<platform>"),
        ("mail me@example.com", "mail <email>"),
        ("fe80::8:20ff:fe0a:b0c/10", "<address>/10"),
        ("inet6 fd00:1:2:3::7", "inet6 <address>"),
        ("::1 localhost", "::1 localhost"),
        ("svc:/network/ssh:default", "svc:/network/ssh:default"),
    ],
)
def test_what_belongs_to_the_account_is_left_out(text: str, blank: str) -> None:
    assert Blanks({"acme": "login"}).text(text) == blank
    assert Blanks({"acme": "login"}).value({text: [text, 1]}) == {blank: [blank, 1]}


def test_a_script_says_status_and_output_of_every_command() -> None:
    probes = [
        {"name": "two words", "run": "echo 'a b'; echo err >&2; exit 3"},
        {"name": "quotes", "run": "printf '%s' \"it's {now} $0\""},
        {"name": "sorted", "run": "echo b; echo a", "sort": True},
        {"name": "reads nothing", "run": "cat; echo end"},
    ]
    text = f"main() {{\n{script(probes, 7)}\n}}\nmain </dev/null\n"
    done = subprocess.run(["/bin/sh", "-s"], input=text, capture_output=True, text=True, check=True)
    assert answers(probes, done.stdout) == {
        "two words": {"status": 3, "output": ["a b", "err"]},
        "quotes": {"status": 0, "output": ["it's 7 /bin/sh"]},
        "sorted": {"status": 0, "output": ["a", "b"]},
        "reads nothing": {"status": 0, "output": ["end"]},
    }
    cut = done.stdout[: done.stdout.index("<<probe sorted")]
    assert "not asked" in answers(probes, cut)["sorted"]
