"""Reading, checking and writing service bundles."""

from __future__ import annotations

from pathlib import Path

import pytest

from localdc.smartos.smf.bundle import manifest
from localdc.smartos.smf.bundle.validation import problems
from localdc.smartos.smf.commands.export import document
from localdc.smartos.smf.door import Door
from localdc.smartos.smf.model import SmfError
from localdc.smartos.smf.startd.importer import apply_bundle
from localdc.smartos.smf.startd.repository import Repository

from .conftest import HEADER, Zone, service
from .services import CORPUS, contents


def stored(*bundles: dict[str, object]) -> dict[str, object]:
    repository = Repository(":memory:")
    for bundle in bundles:
        assert apply_bundle(repository, bundle).messages == []
    return contents(repository)


@pytest.mark.skipif(not CORPUS.exists(), reason=f"no manifests at {CORPUS}; set SMF_CORPUS")
def test_real_manifests_survive_export(zone: Zone) -> None:
    files = sorted((CORPUS / "smf").glob("*.xml"))
    assert files
    door = Door(str(zone.door))
    for file in files:
        bundle = manifest.load(file)
        first = stored(bundle)
        door.call("import", bundle=bundle)
        services = ["svc:/" + entry["name"] for entry in bundle["services"]]
        exported = [
            manifest.loads(document(door, [fmri], "manifest", everything=True).encode(), "x")
            for fmri in services
        ]
        assert stored(*exported) == first, file.name
        assert door.call("import", bundle=bundle)["messages"] == []
        for fmri in services:
            door.call("delete", fmri=fmri, force=True)


@pytest.mark.skipif(not CORPUS.exists(), reason=f"no manifests at {CORPUS}; set SMF_CORPUS")
def test_a_real_manifest_by_the_commands(zone: Zone, tmp_path: Path) -> None:
    file = next((CORPUS / "smf").glob("*rpcbind*"))
    zone.ok("svccfg", "import", str(file))
    out = tmp_path / "out.xml"
    zone.ok("svccfg", "-f", "-", stdin=f"export network/rpc/bind > {out}\n")
    assert stored(manifest.load(out)) == stored(manifest.load(file))
    assert "start/exec" in zone.ok("svccfg", "-s", "network/rpc/bind", "listprop", "start/*")


def refusal(text: str) -> str:
    with pytest.raises(SmfError) as caught:
        manifest.loads(text.encode(), "f.xml")
    return str(caught.value)


def test_a_document_needs_the_doctype_of_service_bundles() -> None:
    assert "document has no DTD" in refusal("<service_bundle type='manifest' name='x'/>")
    unknown = HEADER.replace("/usr/share/lib", "/opt/share")
    assert "document DTD unknown; not service bundle?" in refusal(unknown + "</service_bundle>")


def test_broken_xml_is_named_with_its_line() -> None:
    message = refusal(HEADER + "<service>\n</service_bundle>")
    assert message.startswith("f.xml:5: parser error : ")
    assert message.endswith("couldn't parse document")


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("<service name='a' type='service' version='1'><template><common_name>"
         "<loctext xml:lang='C'>x</loctext></common_name></template><single_instance/></service>",
         "Element service content does not follow the DTD, expecting (create_default_instance?"),
        ("<service name='a' version='1'/>", "Element service does not carry attribute type"),
        ("<service name='a' type='server' version='1'/>",
         'Value "server" for attribute type of service is not among the enumerated set'),
        ("<service name='a' type='service' version='1' colour='red'/>",
         "No declaration for attribute colour of element service"),
        ("<thing/>", "No declaration for element thing"),
        ("<service name='a' type='service' version='1'><single_instance>x</single_instance>"
         "</service>", "Element single_instance was declared EMPTY this one has content"),
    ],
)  # fmt: skip
def test_the_grammar_of_the_dtd_is_enforced(body: str, problem: str) -> None:
    message = refusal(HEADER + body + "</service_bundle>")
    assert problem in message
    assert "validity error" in message
    assert message.endswith("Document is not valid.")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('timeout_seconds="10"', 'timeout_seconds="soon"', 'Invalid "count" value "soon".'),
        ('name="site/a"', 'name="site/9a"', 'service name "site/9a" is invalid'),
        ('name="duration"', 'name="dur.ation"', "is invalid"),
    ],
)
def test_bad_values_fail_validation(old: str, new: str, problem: str) -> None:
    message = refusal(HEADER + service("a").replace(old, new) + "</service_bundle>")
    assert problem in message
    assert message.endswith("Validation failed.")


def test_validate_command(zone: Zone, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.xml", tmp_path / "bad.xml"
    good.write_text(HEADER + service("a") + "</service_bundle>")
    bad.write_text(HEADER + "<thing/></service_bundle>")
    done = zone.run("svccfg", "validate", str(good))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = zone.run("svccfg", "validate", str(bad))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "svccfg: Document is not valid."


def test_upgrade_keeps_what_the_administrator_changed(zone: Zone) -> None:
    group = ('<property_group name="config" type="application">'
             '<propval name="a" type="astring" value="{}"/>'
             '<propval name="b" type="astring" value="{}"/>{}</property_group>')  # fmt: skip
    extra = '<propval name="c" type="count" value="1"/>'
    fmri = zone.service("up", enabled=False, tail=group.format("1", "1", extra))
    zone.ok("svccfg", "-s", "site/up", "setprop", "config/a", "=", "mine")
    zone.ok("svcadm", "enable", fmri)
    path = zone.root / "m.xml"
    path.write_text(
        HEADER + service("up", enabled=False, tail=group.format("2", "2", "")) + "</service_bundle>"
    )
    done = zone.run("svccfg", "import", str(path))
    assert done.returncode == 0
    assert "Conflict upgrading svc:/site/up" in done.stderr
    zone.wait(lambda: zone.prop(fmri, "config/a") == "mine")
    assert zone.prop(fmri, "config/b") == "2"
    assert zone.run("svcprop", "-p", "config/c", fmri).returncode == 1
    assert zone.ok("svcprop", "-c", "-p", "general/enabled", fmri) == "true\n"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('value="contract"', 'value="sometimes"', "Property has illegal value."),
        ('name="duration" type="astring" value="contract"',
         'name="need_session" type="astring" value="x"', "Property has bad type."),
        ('name="stop" exec', 'name="halt" exec', "Required property group missing."),
    ],
)  # fmt: skip
def test_templates_are_checked(
    zone: Zone, tmp_path: Path, old: str, new: str, problem: str
) -> None:
    file = tmp_path / "t.xml"
    file.write_text(HEADER + service("t", enabled=False).replace(old, new) + "</service_bundle>")
    for command in (["validate"], ["import", "-V"]):
        done = zone.run("svccfg", *command, str(file))
        assert done.returncode == 1
        assert done.stderr.startswith(f'svccfg: {problem}\n\tFMRI="svc:/site/t:default"\n')
        assert done.stderr.endswith("svccfg: Validation failed.\n")
    done = zone.run("svccfg", "import", str(file))
    assert done.returncode == 0
    assert problem in done.stderr


def test_templates_of_the_manifest_itself(zone: Zone, tmp_path: Path) -> None:
    template = """<property_group name="config" type="application">
<propval name="port" type="count" value="{}"/></property_group><template>
<common_name><loctext xml:lang="C">x</loctext></common_name>
<pg_pattern name="config" type="application" target="this" required="true">
<prop_pattern name="port" type="count" required="true"><cardinality min="1" max="1"/>
<constraints><range min="1" max="65535"/></constraints></prop_pattern></pg_pattern></template>"""
    file = tmp_path / "t.xml"
    for port, code in (("80", 0), ("70000", 1)):
        body = service("t", enabled=False, tail=template.format(port))
        file.write_text(HEADER + body + "</service_bundle>")
        done = zone.run("svccfg", "validate", str(file))
        assert done.returncode == code, done.stderr
    assert done.stderr.startswith("svccfg: Property value is out of range.")


@pytest.mark.skipif(not CORPUS.exists(), reason=f"no manifests at {CORPUS}; set SMF_CORPUS")
def test_real_manifests_are_valid() -> None:
    for file in sorted((CORPUS / "smf").glob("*.xml")):
        assert problems(manifest.load(file)) == [], file.name
