"""smf_manifest against a real svc.startd that runs as an ordinary process."""

from __future__ import annotations

import pytest

from .modules_support import run_module
from .smf_zone import manifest

TWO = '<instance name="one" enabled="true"/><instance name="two" enabled="false"/>'


@pytest.fixture
def smf_manifest(zone, tmp_path):
    path = tmp_path / "manifests/job.xml"

    def run(check=False, expect="ok", **arguments):
        arguments.setdefault("path", str(path))
        return run_module("smf_manifest", check=check, expect=expect, **arguments)

    run.path = path
    return run


def test_import_unchanged_update(zone, smf_manifest):
    first = smf_manifest(content=manifest())
    assert first["changed"] and first["imported"]
    assert first["services"] == ["svc:/site/job"] and first["instances"] == ["svc:/site/job:one"]
    assert smf_manifest.path.read_text() == manifest()
    assert first["diff"][0]["before"] == "" and "site/job" in first["diff"][0]["after"]
    zone.commands()

    again = smf_manifest(content=manifest())
    assert not again["changed"] and not again["imported"]
    assert zone.commands() == ["svcs -H -o fmri svc:/site/job:one"]

    more = smf_manifest(content=manifest(instances=TWO))
    assert more["changed"] and more["imported"]
    assert "two" in zone.run("svcs", "-H", "-o", "inst", "svc:/site/job:two")


def test_check_mode_validates_and_changes_nothing(zone, smf_manifest):
    predicted = smf_manifest(check=True, content=manifest())
    assert predicted["changed"] and not smf_manifest.path.exists()
    wrong = manifest().replace("<exec_method", "<exec_metod", 1).replace("/exec_metod", "", 1)
    assert "not valid" in smf_manifest(check=True, expect="fail", content=wrong).msg
    assert not any("import" in call for call in zone.commands())


def test_deleted_service_is_imported_again(zone, smf_manifest):
    smf_manifest(content=manifest())
    zone.run("svccfg", "delete", "-f", "svc:/site/job")
    repaired = smf_manifest(content=manifest())
    assert repaired["imported"] and repaired["changed"]


def test_invalid_manifest_keeps_the_old_one(zone, smf_manifest):
    smf_manifest(content=manifest())
    failed = smf_manifest(expect="fail", content=manifest(extra="<nonsense/>"))
    assert "not valid" in failed.msg and "nonsense" in failed.msg
    assert not failed["imported"] and not failed["changed"] and not failed["diff"]
    assert smf_manifest.path.read_text() == manifest()
    assert "well-formed" in smf_manifest(expect="fail", content="<service_bundle>").msg
    empty = "<service_bundle type='profile' name='x'/>"
    assert "no service" in smf_manifest(expect="fail", content=empty).msg


def test_methods(zone, smf_manifest, tmp_path):
    script = tmp_path / "method/job"
    options = {"content": manifest(), "methods": [{"path": str(script), "content": "#!/bin/sh\n"}]}
    first = smf_manifest(**options)
    assert first["methods_changed"] == [str(script)]
    assert script.read_text() == "#!/bin/sh\n" and script.stat().st_mode & 0o7777 == 0o555
    assert not smf_manifest(**options)["changed"]
    script.chmod(0o700)
    again = smf_manifest(**options)
    assert again["methods_changed"] == [str(script)] and not again["imported"]
    options["methods"][0]["mode"] = "rwx"
    assert "octal" in smf_manifest(expect="fail", **options).msg


def test_absent(zone, smf_manifest, tmp_path):
    script = tmp_path / "job.sh"
    methods = [{"path": str(script), "content": "#!/bin/sh\n"}]
    smf_manifest(content=manifest(instances=TWO), methods=methods)
    assert smf_manifest(check=True, fmri="svc:/site/job", state="absent")["changed"]
    gone = smf_manifest(fmri="svc:/site/job", state="absent", methods=[{"path": str(script)}])
    assert gone["changed"] and not smf_manifest.path.exists() and not script.exists()
    again = smf_manifest(fmri="svc:/site/job", state="absent", methods=[{"path": str(script)}])
    assert not again["changed"]


def test_src_and_default_path(zone, smf_manifest, tmp_path):
    source = tmp_path / "here.xml"
    source.write_text(manifest())
    run = run_module("smf_manifest", src=str(source))
    assert run["imported"] and run["path"] == str(source)
    assert not run_module("smf_manifest", src=str(source))["changed"]
    predicted = run_module("smf_manifest", check=True, content=manifest(name="site/a/other"))
    assert predicted["path"] == "/opt/local/lib/svc/manifest/other.xml"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "content or src"),
        ({"state": "absent", "path": None}, "say which service"),
        ({"content": manifest(), "fmri": "svc:/site/else"}, "not svc:/site/else"),
        ({"src": "/nowhere.xml", "path": None}, "cannot be read"),
        ({"content": "x", "src": "/y"}, "mutually exclusive"),
    ],
)
def test_wrong_input(zone, smf_manifest, arguments, words):
    assert words in smf_manifest(expect="fail", **arguments).msg
