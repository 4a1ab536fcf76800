"""Rules of policies, against what node-aperture made of them: its parser, then its evaluator."""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path

import pytest

from localdc.api.aperture import EvaluationError, RuleError, allowed, parse

ROOT = Path(__file__).resolve().parents[3]
CORPUS = Path(os.environ.get("RBAC_CORPUS") or ROOT.parent / "shared/corpus/rbac-rules.json")
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
    ],
)
def test_rules_that_are_refused(text, message):
    with pytest.raises(RuleError, match=message.replace("(", "\\(")):
        parse(text)
