"""The grammar is that of the DTD, and whatever it permits survives import and export."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from localdc.smartos.smf.bundle import manifest
from localdc.smartos.smf.bundle.dtd import ATTRIBUTES, MODELS, problems
from localdc.smartos.smf.bundle.xmltree import parse
from localdc.smartos.smf.commands.export import document
from localdc.smartos.smf.door import Door
from localdc.smartos.smf.model import SmfError
from localdc.smartos.smf.startd.importer import apply_bundle
from localdc.smartos.smf.startd.repository import Repository
from localdc.smartos.smf.values import normalise

from .bundles import EXAMPLES, Element, Maker, broken, text_of
from .conftest import HEADER, Zone, service
from .services import CORPUS, contents

etree = pytest.importorskip("lxml.etree")
DTD = CORPUS / "service_bundle.dtd.1"
needs_dtd = pytest.mark.skipif(not DTD.exists(), reason=f"no DTD at {DTD}; set SMF_CORPUS")
SEEDS = range(60)


def shape(part: object) -> str:
    """A content model as lxml knows it, in the notation of the DTD without blanks."""
    sign = {"once": "", "opt": "?", "mult": "*", "plus": "+"}[part.occur]  # type: ignore[attr-defined]
    if part.type == "element":  # type: ignore[attr-defined]
        return f"{part.name}{sign}"  # type: ignore[attr-defined]
    mark = "," if part.type == "seq" else "|"  # type: ignore[attr-defined]
    parts = []
    # the same kind nested to the right is one list
    while part.type in ("seq", "or") and (part.type == "seq") == (mark == ","):  # type: ignore[attr-defined]
        parts.append(shape(part.left))  # type: ignore[attr-defined]
        part = part.right  # type: ignore[attr-defined]
        if part.occur != "once":  # type: ignore[attr-defined]
            break
    return f"({mark.join([*parts, shape(part)])}){sign}"


@needs_dtd
def test_the_grammar_is_that_of_the_dtd() -> None:
    found = {e.name: e for e in etree.DTD(str(DTD)).iterelements() if e.name not in
             ("include", "fallback")}  # fmt: skip
    assert sorted(found) == sorted(MODELS)
    for name, element in found.items():
        attributes = {
            ("!" if a.default == "required" else "")
            + ("xml:" if a.prefix == "xml" else "") + a.name: "|".join(a.itervalues()) or None
            for a in element.iterattributes()
        }  # fmt: skip
        mine = ATTRIBUTES.get(name, {})
        assert {k: set((v or "").split("|")) for k, v in mine.items()} == {
            k: set((v or "").split("|")) for k, v in attributes.items()
        }, name
        if element.type == "empty":
            assert MODELS[name] == "", name
        elif element.type == "mixed":
            assert MODELS[name] == "#", name
        else:
            want = shape(element.content).replace("|include*", "")
            assert flat(MODELS[name]) == flat(want), name


def flat(text: str) -> str:
    """Without blanks and without parentheses that say nothing."""
    text = "".join(text.split())
    while text.startswith("((") and text.endswith("))"):
        text = text[1:-1]
    return text if text.startswith("(") else f"({text})"


@needs_dtd
def test_generated_documents_are_valid_and_broken_ones_are_told() -> None:
    dtd = etree.DTD(str(DTD))
    refused = 0
    for seed in range(400):
        root = Maker(seed % 60).bundle()
        if seed >= 60:
            root = broken(root, random.Random(seed))
        text = text_of(root)
        good = dtd.validate(etree.fromstring(text.encode()))
        found = problems(parse(text.encode(), "x").root)
        assert (found == []) == good, (seed, found, dtd.error_log)
        refused += not good
        assert good or seed >= 60, dtd.error_log
    # the changes must be such that both answers occur
    assert 150 < refused < 340


def test_generated_documents_use_the_whole_grammar() -> None:
    elements: set[str] = set()
    attributes: set[tuple[str, str]] = set()
    for seed in SEEDS:
        for node in Maker(seed).bundle().walk():
            elements.add(node.name)
            attributes |= {(node.name, name) for name in node.attrs}
    assert elements == set(MODELS)
    assert attributes == {
        (name, key.removeprefix("!")) for name, keys in ATTRIBUTES.items() for key in keys
    }


def held(*texts: str) -> dict[str, object]:
    repository = Repository(":memory:")
    for text in texts:
        assert apply_bundle(repository, manifest.loads(text.encode(), "x")).messages == []
    return contents(repository)


def test_nothing_is_lost_on_the_way_in() -> None:
    """Every name that a document gives is in the repository, but for those that delete."""
    for seed in SEEDS:
        root = Maker(seed).bundle()
        stored = repr(held(text_of(root)))
        for name in names_in(root):
            assert f"{name}'" in stored or f"{name}=" in stored or f"{name}," in stored, (
                seed,
                name,
            )


def names_in(node: Element) -> list[str]:
    if node.attrs.get("delete") == "true":
        return []
    own = [value for value in node.attrs.values() if re.fullmatch(r"(n|event-|a\.b )\d+", value)]
    return [*own, *(name for child in node.children for name in names_in(child))]


def test_whatever_the_grammar_permits_survives(zone: Zone) -> None:
    door = Door(str(zone.door))
    for seed in SEEDS:
        text = text_of(Maker(seed).bundle())
        first = held(text)
        bundle = manifest.loads(text.encode(), "x")
        door.call("import", bundle=bundle)
        names = ["svc:/" + entry["name"] for entry in bundle["services"]]
        exported = document(door, names, "manifest", everything=True)
        if DTD.exists():
            dtd = etree.DTD(str(DTD))
            assert dtd.validate(etree.fromstring(exported.encode())), (seed, dtd.error_log)
        assert held(exported) == first, seed
        assert door.call("import", bundle=bundle)["messages"] == []
        for fmri in door.call("fmris")["services"]:
            if fmri.startswith("svc:/site/"):
                door.call("delete", fmri=fmri, force=True)


def test_an_archive_restores_everything(zone: Zone, tmp_path: Path) -> None:
    for seed in (1, 2, 3):
        file = tmp_path / f"{seed}.xml"
        file.write_text(text_of(Maker(seed * 100).bundle()).replace("site/made", f"site/m{seed}x"))
        zone.ok("svccfg", "import", str(file))
    archive = tmp_path / "archive.xml"
    zone.ok("svccfg", "-f", "-", stdin=f"archive -a > {archive}\n")
    (tmp_path / "second").mkdir()
    second = Zone(tmp_path / "second")
    second.start()
    try:
        second.ok("svccfg", "restore", str(archive))
        assert second.ok("svccfg", "archive", "-a") == zone.ok("svccfg", "archive", "-a")
    finally:
        second.stop()


BAD = {
    "count": ["-1", "x", "18446744073709551616", ""], "integer": ["1.5", "9223372036854775808"],
    "opaque": ["0", "xy"], "host": ["-a", "a b"], "hostname": ["a_b", "-a"],
    "net_address": ["10.0.0", "x"], "net_address_v4": ["::1", "10.0.0.0/33", "300.1.1.1"],
    "net_address_v6": ["10.0.0.1", "::1/129"], "time": ["now", "1.0000000001"],
    "boolean": ["yes", "TRUE", ""], "uri": ["x", "/a/b"], 
    "ustring": ["\udcff"], "astring": [], "value": [],
}  # fmt: skip


@pytest.mark.parametrize(("type", "text"), [(t, v) for t, vs in BAD.items() for v in vs])
def test_bad_values(type: str, text: str) -> None:
    with pytest.raises(SmfError) as caught:
        normalise(type, text)
    assert str(caught.value) == f'Invalid "{type}" value "{text}".'


@pytest.mark.parametrize(("type", "text"), [(t, v) for t, vs in EXAMPLES.items() for v in vs])
def test_good_values(type: str, text: str) -> None:
    assert normalise(type, text) == text


class TestInclude:
    def test_a_service_in_a_file_of_its_own(self, zone: Zone, tmp_path: Path) -> None:
        (tmp_path / "part.xml").write_text(service("part", enabled=False))
        (tmp_path / "whole.xml").write_text(
            HEADER + '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="part.xml"/>'
            "</service_bundle>"
        )
        zone.ok("svccfg", "import", str(tmp_path / "whole.xml"))
        assert zone.state("svc:/site/part:default") == "disabled"

    def test_a_fallback(self, zone: Zone, tmp_path: Path) -> None:
        (tmp_path / "whole.xml").write_text(
            HEADER + '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="none.xml">'
            f"<xi:fallback>{service('spare', enabled=False)}</xi:fallback></xi:include>"
            "</service_bundle>"
        )
        zone.ok("svccfg", "import", str(tmp_path / "whole.xml"))
        assert zone.state("svc:/site/spare:default") == "disabled"

    def test_a_file_that_is_missing(self, zone: Zone, tmp_path: Path) -> None:
        path = tmp_path / "whole.xml"
        path.write_text(
            HEADER + '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="none.xml"/>'
            "</service_bundle>"
        )
        done = zone.run("svccfg", "import", str(path))
        assert done.returncode == 1
        assert done.stderr == (
            f"svccfg: {path}:4: could not load {tmp_path}/none.xml: No such file or directory\n"
            "svccfg: couldn't parse document\n"
        )


PROFILE = HEADER.replace('type="manifest"', 'type="profile"')


def profile(body: str) -> str:
    service = f'<service name="site/a" version="1" type="service">{body}</service>'
    return f"{PROFILE}{service}</service_bundle>"


class TestProfiles:
    @pytest.fixture
    def fmri(self, zone: Zone) -> str:
        tail = """<property_group name="config" type="application">
<propval name="port" type="count" value="1"/></property_group>"""
        return zone.service("a", enabled=False, tail=tail)

    def test_types_come_from_the_repository(self, zone: Zone, tmp_path: Path, fmri: str) -> None:
        file = tmp_path / "p.xml"
        file.write_text(profile(
            '<property_group name="config"><propval name="port" value="0x50"/></property_group>'
            '<instance name="default" enabled="false"><property_group name="config"'
            ' type="application"><propval name="port" value="81"/></property_group></instance>'
        ))  # fmt: skip
        zone.ok("svccfg", "apply", str(file))
        assert zone.ok("svcprop", "-t", "-p", "config/port", fmri) == "config/port count 81\n"
        assert zone.ok("svcprop", "-p", "config/port", "svc:/site/a") == "80\n"

    def test_a_dry_run(self, zone: Zone, tmp_path: Path, fmri: str) -> None:
        file = tmp_path / "p.xml"
        file.write_text(profile('<instance name="default" enabled="true"/>'))
        zone.ok("svccfg", "apply", "-n", str(file))
        assert zone.state(fmri) == "disabled"

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            ('<property_group name="config"><propval name="new" value="1"/></property_group>',
             "property svc:/site/a:default: config/new does not exist; a type is needed"),
            ('<property_group name="more"><propval name="x" type="count" value="1"/>'
             "</property_group>",
             "property group more of svc:/site/a:default does not exist; a type is needed"),
            ('<property_group name="config"><propval name="port" value="x"/></property_group>',
             'Invalid "count" value "x".'),
        ],
    )  # fmt: skip
    def test_what_cannot_be_applied_changes_nothing(
        self, zone: Zone, tmp_path: Path, fmri: str, body: str, message: str
    ) -> None:
        file = tmp_path / "p.xml"
        good = '<property_group name="config"><propval name="port" value="9"/></property_group>'
        file.write_text(profile(f'{good}<instance name="default" enabled="true">{body}</instance>'))
        done = zone.run("svccfg", "apply", str(file))
        assert (done.returncode, done.stderr) == (1, f"svccfg: {message}\n")
        assert zone.prop(fmri, "config/port") == "1"
