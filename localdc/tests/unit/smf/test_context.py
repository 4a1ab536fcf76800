"""Method context (smf_method(7)): whose values count, and what wrong ones lead to."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from .conftest import Zone

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may change credentials")

FMRI = "svc:/site/context:default"
HOME = pwd.getpwnam("root").pw_dir
DAEMON = pwd.getpwnam("daemon").pw_dir
SHOW = 'echo "$(id -un) $(pwd) A=$A B=$B"'


def credential(user: str, *words: str) -> str:
    return f"<method_credential user='{user}' {' '.join(words)}/>"


def environment(**values: str) -> str:
    pairs = (f"<envvar name='{name}' value='{value}'/>" for name, value in values.items())
    return f"<method_environment>{''.join(pairs)}</method_environment>"


def context(body: str, *attributes: str) -> str:
    return f"<method_context {' '.join(attributes)}>{body}</method_context>"


def load(zone: Zone, start: str, shared: str = "", own: str = "") -> None:
    zone.load(f"""<service name="site/context" type="service" version="1">
<create_default_instance enabled="true"/>{shared}
<exec_method type="method" name="start" exec="{start}" timeout_seconds="10">{own}</exec_method>
<exec_method type="method" name="stop" exec=":true" timeout_seconds="10"/>
<property_group name="startd" type="framework">
<propval name="duration" type="astring" value="transient"/></property_group></service>""")


TMP = "working_directory='/tmp'"
AB = environment(A="a", B="b")


@pytest.mark.parametrize(
    ("shared", "own", "seen"),
    [
        ("", "", "root / A= B="),
        (context(AB), "", f"root {HOME} A=a B=b"),
        ("", context(AB), f"root {HOME} A=a B=b"),
        (context(AB), context(environment(A="own")), f"root {HOME} A=own B="),
        (context(AB), context("", TMP), "root /tmp A=a B=b"),
        (context(credential("nobody") + AB, TMP), context(environment(A="own")),
         "nobody /tmp A=own B="),
        (context(credential("nobody"), TMP), context("", "working_directory='/usr'"),
         "nobody /usr A= B="),
        (context(credential("nobody") + AB, TMP), context(credential("daemon")),
         "daemon /tmp A=a B=b"),
        (context(credential("daemon")), "", f"daemon {DAEMON} A= B="),
        (context(credential("daemon"), "working_directory=':default'"), "",
         f"daemon {DAEMON} A= B="),
        (context(credential("daemon"), "working_directory=':home'"), "", f"daemon {DAEMON} A= B="),
        (context(credential("1", "group='1'"), TMP), "", "daemon /tmp A= B="),
    ],
    ids=[
        "init's defaults", "shared environment", "own environment", "own environment replaces",
        "own directory, shared environment", "own environment, shared credential",
        "own directory, shared credential", "own credential", "home is the default",
        ":default is home", ":home", "numbers",
    ],
)  # fmt: skip
def test_precedence(zone: Zone, tmp_path: Path, shared: str, own: str, seen: str) -> None:
    out = tmp_path / "out"
    script = tmp_path / "show"
    script.write_text(f"#!/bin/sh\n{SHOW} > {out}\n")
    script.chmod(0o755)
    tmp_path.chmod(0o777)
    load(zone, str(script), shared, own)
    zone.reaches(FMRI, "online")
    assert out.read_text() == seen + "\n"


REFUSED = {
    "unknown user": (
        credential("who"),
        'Could not interpret "user" property value "who", error 2.',
    ),
    "no user id": (credential("1x"), 'Could not interpret "user" property value "1x", error 22.'),
    "user id without an entry": (credential("54321"), 'No passwd entry for uid "54321".'),
    "unknown group": (
        credential("nobody", "group='which'"),
        'Could not interpret "group" property value "which".',
    ),
    "unknown supplementary group": (
        credential("nobody", "supp_groups='bin, which'"),
        'Could not interpret supplemental groups ("supp_groups") property value "bin, which".',
    ),
    "profile": (
        "<method_profile name='Operator'/>",
        'Could not find the execution profile "Operator", command /bin/true.',
    ),
    "no home": (credential("54321", "group='1'", "supp_groups='1'"), "Could not get passwd entry."),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_runs_nothing(zone: Zone, case: str) -> None:
    body, line = REFUSED[case]
    load(zone, "/bin/true -x", context(body))
    zone.reaches(FMRI, "maintenance")
    assert zone.lines(FMRI) == ["Enabled.", line]
    assert zone.prop(FMRI, "restarter/auxiliary_state") == "method_failed"


@pytest.mark.parametrize(
    ("body", "directory", "line"),
    [
        (credential("nobody"), "/no/where", 'chdir: No such file or directory ("/no/where")'),
        (credential("nobody"), "/etc/passwd", 'chdir: Not a directory ("/etc/passwd")'),
        (credential("nobody"), "{private}", 'chdir: Permission denied ("{private}")'),
        (credential("54321", "group='1'"), "/tmp", "Missing passwd entry for user."),
    ],
)
def test_what_cannot_be_entered_is_a_configuration_error(
    zone: Zone, tmp_path: Path, body: str, directory: str, line: str
) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    directory = directory.format(private=private)
    load(zone, "/bin/true", context(body, f"working_directory='{directory}'"))
    zone.reaches(FMRI, "maintenance")
    assert zone.lines(FMRI) == [
        "Enabled.",
        'Executing start method ("/bin/true").',
        "svc.startd could not set context for method: ",
        line.format(private=private),
        'Method "start" exited with status 96.',
    ]
    assert "site/context:default misconfigured: transitioned to maintenance" in startd_log(zone)


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ('setprop start/working_directory = astring: ("/" "/tmp")',
         '"working_directory" property has multiple values.'),
        ('setprop start/environment = count: 1', "Invalid method environment."),
        ('setprop start/use_profile = astring: "x"',
         '"use_profile" property is not boolean in property group "start".'),
        ("setprop start/use_profile = boolean: false", 'Could not get "user" property.'),
        ("setprop start/use_profile = boolean: true",
         'Method context requires a profile, but the  "profile" property could not be read.'
         " scf_error is entity not found"),
    ],
)  # fmt: skip
def test_properties_of_the_wrong_kind(zone: Zone, command: str, line: str) -> None:
    load(zone, "/bin/true")
    zone.reaches(FMRI, "online")
    zone.ok("svccfg", "-s", "site/context", command)
    zone.ok("svcadm", "refresh", FMRI)
    zone.ok("svcadm", "restart", FMRI)
    zone.reaches(FMRI, "maintenance")
    assert zone.lines(FMRI)[-1] == line


def test_a_user_without_use_profile_does_not_count(zone: Zone, tmp_path: Path) -> None:
    out = tmp_path / "out"
    load(zone, f"/bin/sh -c 'id -un >{out}'")
    zone.reaches(FMRI, "online")
    zone.ok("svccfg", "-s", "site/context", 'setprop start/user = astring: "nobody"')
    out.unlink()
    zone.ok("svcadm", "refresh", FMRI)
    zone.ok("svcadm", "restart", FMRI)
    zone.wait(lambda: out.exists() and out.read_text() == "root\n")


def startd_log(zone: Zone) -> str:
    return (zone.root / "var/svc/log/svc.startd.log").read_text()
