"""Rules of policies, against what node-aperture made of them: its parser, then its evaluator."""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path

import pytest

from localdc.api.accounts.aperture import EvaluationError, RuleError, allowed, parse

REPOSITORY = Path(__file__).resolve().parents[4]
CORPUS = Path(os.environ.get("RBAC_CORPUS") or REPOSITORY.parent / "shared/corpus/rbac-rules.json")
TAGS = {"tag_cluster": "ipython", "tag_role": "engine"}
NOON = datetime.fromisoformat("2026-11-25T12:00:00+00:00")


def context_of(described):
    conditions = {
        name: datetime.fromisoformat(described["date"]) for name in ("date", "day", "time")
    }
    conditions |= {"user-agent": described["user_agent"], "sourceip": described["sourceip"]}
    conditions |= {"method": described["method"], "datacenter": "us-central-1"}
    if described["machine_tags"] is not None:
        conditions |= {f"tag_{tag}": value for tag, value in described["machine_tags"].items()}
        conditions["ip"] = ["10.0.0.5"]
    return described["action"], described["path"], conditions


def verdict(rule, context):
    try:
        return "allow" if allowed([rule], *context) else "deny"
    except EvaluationError:
        return "error"


@pytest.mark.skipif(not CORPUS.exists(), reason=f"no rules at {CORPUS}; set RBAC_CORPUS")
def test_rules_are_understood_as_the_original_does():
    corpus = json.loads(CORPUS.read_text())
    contexts = {name: context_of(described) for name, described in corpus["contexts"].items()}
    wrong = []
    for entry in corpus["rules"]:
        try:
            rule = parse(entry["rule"])
        except RuleError as error:
            if str(error) != entry.get("refused"):
                wrong.append((entry["rule"], str(error)))
            continue
        found = {name: verdict(rule, context) for name, context in contexts.items()}
        if (found, rule.names_resource) != (entry.get("evaluates"), entry.get("names_resource")):
            wrong.append((entry["rule"], found))
    assert len(corpus["rules"]) > 50 and wrong == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("CAN deletemachine * WHEN tag_cluster::string = ipython", "allow"),
        ("CAN deletemachine and stopmachine * IF tag_role::string in (db, engine)", "allow"),
        ("CAN getmachine *", "deny"),
        ("CAN NOT deletemachine *", "deny"),
        ("bob CAN deletemachine *", "deny"),
        ("CAN deletemachine * WHEN tag_missing::string = x", "error"),
        ("CAN deletemachine * WHEN date > 2020-01-01", "error"),
        ("CAN deletemachine * WHEN day::day = W AND NOT time::time > 13:00:00", "allow"),
        ("CAN deletemachine */machines/*", "allow"),
        ("CAN deletemachine /^\\/acme\\/machines\\/web$/::regex", "allow"),
        ("CAN deletemachine /acme/machines", "deny"),
    ],
)
def test_what_a_rule_means(text, expected):
    conditions = {**TAGS, "date": NOON, "day": NOON, "time": NOON}
    assert verdict(parse(text), ("deletemachine", "/acme/machines/web", conditions)) == expected


def test_the_first_that_allows_counts_but_not_behind_one_that_cannot_be_looked_at():
    """node-aperture, lib/evaluator.js: evaluate is `some`."""
    good, bad = parse("CAN deletemachine *"), parse("CAN deletemachine * WHEN tag_no::string = x")
    assert allowed([good, bad], "deletemachine", "/x", TAGS)
    with pytest.raises(EvaluationError, match="tag_no"):
        allowed([bad, good], "deletemachine", "/x", TAGS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("MAY getmachine", "Parse error"),
        ("CAN getmachine * WHEN", "Parse error"),
        ("CAN getmachine (", "Parse error"),
        ("CAN a, b *", "Parse error"),
        ("CAN a WHEN tag_x = y", 'no type for "tag_x"'),
        ("CAN a WHEN n::number = many", 'unable to validate value "many" as type "number"'),
        ("CAN a /(/::regex", "Invalid regular expression"),
        ("CAN a \\*", "Invalid regular expression"),
        ("CAN a /b/q::regex", "Invalid flags"),
        ("CAN a /b/II::regex", "Invalid flags"),
        ("CAN a /b{99999999999999999999}/::regex", "Invalid regular expression"),
        ('CAN a * WHEN time::time > "99999999999999:0:0"', "unable to validate value"),
        ("CAN a * WHEN time::time > 0001-01-01T00:00:00+14:00", "unable to validate value"),
        (f"CAN a * WHEN {'NOT ' * 3000} n::number = 7", "parentheses and NOTs at most"),
        (f"CAN a * WHEN {'(' * 3000} n::number = 7 {')' * 3000}", "parentheses and NOTs at most"),
    ],
)
def test_rules_that_are_refused(text, message):
    with pytest.raises(RuleError, match=message.replace("(", "\\(")):
        parse(text)


@pytest.mark.parametrize("pattern", ["db", "/x/q", "/x/ii", "/x", '"/(/"'])
def test_patterns_that_are_refused(pattern):
    """node-aperture, types/string.js: what follows the last slash, or all of it, are flags; and
    lib/parser.js: what RegExp throws is said of the value."""
    shown = pattern.strip('"')
    with pytest.raises(RuleError) as refused:
        parse(f"CAN getmachine * WHEN tag_role::string like {pattern}")
    assert str(refused.value) == f'unable to validate value "{shown}" as type "string"'


@pytest.mark.parametrize(
    ("pattern", "value", "expected"),
    [
        ("/^ENG/i", "engine", "allow"),
        ("/^b/m", "a\nb", "allow"),
        ("/^b/", "a\nb", "deny"),
        ("/n/y", "engine", "deny"),
        ("/e/y", "engine", "allow"),
        ("/n/gi", "engine", "allow"),
        # one letter is pattern and flag
        ("i", "IN", "allow"),
        ("i", "db", "deny"),
        # no pattern in front of the slash
        ("x/", "db", "allow"),
    ],
)
def test_flags_of_a_pattern(pattern, value, expected):
    rule = parse(f"CAN getmachine * WHEN tag_role::string like {pattern}")
    assert verdict(rule, ("getmachine", "/x", {"tag_role": value})) == expected


@pytest.mark.parametrize("op", ["=", "!="])
def test_a_value_that_is_no_address_cannot_be_looked_at(op):
    """node-aperture, types/ip.js: ipaddr.parse throws."""
    rule = parse(f"CAN getmachine * WHEN tag_x::ip {op} 10.0.0.0/8")
    assert verdict(rule, ("getmachine", "/x", {"tag_x": "web"})) == "error"
    inside = "allow" if op == "=" else "deny"
    assert verdict(rule, ("getmachine", "/x", {"tag_x": "10.1.2.3"})) == inside


@pytest.mark.parametrize("word", ["AND", "OR"])
def test_long_conditions(word):
    terms = ["n::number = 7", *["n::number = 8"] * 3000]
    rule = parse(f"CAN a * WHEN {f' {word} '.join(terms)}")
    expected = "allow" if word == "OR" else "deny"
    assert verdict(rule, ("a", "/x", {"n": 7})) == expected


def test_deep_conditions():
    deep = f"{'NOT ( ' * 50}n::number = 7{' )' * 50}"
    assert verdict(parse(f"CAN a * WHEN {deep}"), ("a", "/x", {"n": 7})) == "allow"
