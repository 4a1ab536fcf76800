"""Services that the tests of SMF make, and what they look at of them."""

from __future__ import annotations

import os
from pathlib import Path

from localdc.smartos.smf.model import encode
from localdc.smartos.smf.startd.repository import Repository

from .conftest import Zone

SLEEP = "sleep 1000 &"
TWO = "/bin/sh -c 'sleep 1000 & sleep 1000 &'"
A = "svc:/site/a:default"
SMTP = """<service name="network/smtp" type="service" version="1">
<exec_method type="method" name="start" exec=":true" timeout_seconds="3"/>
<exec_method type="method" name="stop" exec=":true" timeout_seconds="3"/>
<property_group name="startd" type="framework">
<propval name="duration" type="astring" value="transient"/></property_group>
<instance name="sendmail" enabled="true"/><instance name="relay" enabled="false"/>
<template><common_name><loctext xml:lang="C">Mail transfer</loctext></common_name></template>
</service>"""
CORPUS = Path(os.environ.get("SMF_CORPUS") or Path(__file__).parents[5] / "shared/corpus")
"""Manifests of illumos and pkgsrc, which this repository does not hold."""


def pids(zone: Zone, fmri: str) -> list[int]:
    lines = zone.ok("svcs", "-Hp", "-o", "fmri", fmri).splitlines()[1:]
    return [int(line.split()[-2]) for line in lines]


def set_startd(zone: Zone, *settings: str) -> None:
    for setting in settings:
        zone.ok("svccfg", "-s", "site/a", f"setprop startd/{setting}")
    zone.ok("svcadm", "refresh", A)


def contents(repository: Repository) -> dict[str, object]:
    return {fmri: encode(entity.groups) for fmri, entity in repository.entities.items()}
