"""The service manifest: valid, and saying what the design says."""

from __future__ import annotations

import pytest
from lxml import etree

from .dtd import real_dtd


def test_valid_against_the_real_dtd(manifest: str) -> None:
    path = real_dtd()
    if path is None:
        pytest.skip("service_bundle.dtd.1 of illumos is not here; name it in SMF_DTD")
    dtd = etree.DTD(str(path))
    assert dtd.validate(etree.fromstring(manifest.encode())), dtd.error_log


def test_real_dtd_refuses_a_wrong_order(manifest: str) -> None:
    path = real_dtd()
    if path is None:
        pytest.skip("service_bundle.dtd.1 of illumos is not here; name it in SMF_DTD")
    bundle = etree.fromstring(manifest.encode())
    service = bundle.find("service")
    service.append(service.find("dependency"))
    assert not etree.DTD(str(path)).validate(bundle)


def test_doctype_is_the_one_that_svccfg_knows(manifest: str) -> None:
    system = etree.fromstring(manifest.encode()).getroottree().docinfo.system_url
    assert system == "/usr/share/lib/xml/dtd/service_bundle.dtd.1"


@pytest.fixture
def service(manifest: str) -> etree._Element:
    return etree.fromstring(manifest.encode()).find("service")


def test_depends_on_network_filesystem_and_metadata(service: etree._Element) -> None:
    wanted = {
        dependency.get("name"): dependency.find("service_fmri").get("value")
        for dependency in service.findall("dependency")
    }
    assert wanted == {
        "network": "svc:/milestone/network:default",
        "filesystem": "svc:/system/filesystem/local:default",
        "mdata": "svc:/smartdc/mdata:fetch",
    }


def test_runs_as_a_user_of_its_own_with_an_environment(service: etree._Element) -> None:
    context = service.find("method_context")
    assert context.find("method_credential").get("user") == "ipython"
    environment = {e.get("name"): e.get("value") for e in context.iter("envvar")}
    assert {"PATH", "HOME", "IPYTHONDIR"} <= environment.keys()
    assert environment["PATH"].startswith("/opt/local/bin:")


def test_every_instance_is_shipped_disabled_and_protects_its_config(
    service: etree._Element,
) -> None:
    for instance in service.findall("instance"):
        assert instance.get("enabled") == "false"
        config = instance.find("property_group[@name='config']")
        properties = {p.get("name"): p.get("value") for p in config}
        assert properties["read_authorization"] == "solaris.smf.read.ipyparallel"
        assert {"args", "profile", "timeout"} <= properties.keys()
        assert properties.get("exec_key", "") == ""


def test_engines_are_of_the_wait_model(service: etree._Element) -> None:
    engines = [i for i in service.findall("instance") if i.get("name").startswith("engine")]
    assert engines
    for engine in engines:
        startd = engine.find("property_group[@name='startd']")
        values = {p.get("name"): p.get("value") for p in startd}
        assert values["duration"] == "child"


def test_a_program_that_crashes_does_not_take_its_engine_along(service: etree._Element) -> None:
    """Core and signal are fatal events for all of the process group of a wait service, whichever
    member it happens to, unless ignore_error has one of four literals (illumos,
    cmd/svc/startd/method.c and restarter.c, uts/common/contract/process.c)."""
    for instance in service.findall("instance"):
        startd = {p.get("name"): p for p in instance.find("property_group[@name='startd']")}
        ignored = startd.get("ignore_error")
        if instance.get("name") == "controller":
            assert ignored is None, "there a crash is rightly a reason to restart"
        else:
            assert ignored.get("value") in ("core,signal", "signal,core")
            assert ignored.get("type") == "astring"


def test_instances_do_not_share_a_process_group(service: etree._Element) -> None:
    """Without need_session all are in that of svc.startd (illumos, cmd/svc/startd/method.c)."""
    for instance in service.findall("instance"):
        (need,) = instance.findall("property_group/propval[@name='need_session']")
        assert (need.get("type"), need.get("value")) == ("boolean", "true")


def test_the_failure_rate_is_one_that_startd_can_count(service: etree._Element) -> None:
    """svc.startd keeps five start times (illumos, cmd/svc/startd/startd.h, RINST_START_TIMES), and
    reads others as soon as critical_failure_count is not five (method.c, before 2026)."""
    counts = [p for p in service.iter("propval") if p.get("name") == "critical_failure_count"]
    assert [(count.get("type"), count.get("value")) for count in counts] == [("integer", "5")]


def heartbeat(service: etree._Element) -> tuple[float, int, int, int]:
    """Period in seconds, misses that the controller and misses that an engine tolerates,
    and seconds that the controller keeps a registration without a beat."""
    arguments = " ".join(p.get("value") for p in service.iter("propval") if p.get("name") == "args")
    values = dict(word.split("=") for word in arguments.split() if "=" in word)
    return (
        int(values["--ping"]) / 1000,
        int(values["--HeartMonitor.max_heartmonitor_misses"]),
        int(values["--IPEngine.max_heartbeat_misses"]),
        int(values["--IPController.registration_timeout"]),
    )


def test_an_outage_of_a_minute_is_survived_and_a_longer_one_leaves_no_zombie(
    service: etree._Element,
) -> None:
    period, controller_misses, engine_misses, registration = heartbeat(service)
    # the engine counts in steps of period + 0.5 s (ipyparallel.engine.app, hb_check_period)
    engine_patience = engine_misses * (period + 0.5)
    assert engine_patience >= 60
    # An engine that the controller has dropped hears the heartbeat again and stays for ever,
    # so it has to give up, and be started anew, before the controller does.
    assert controller_misses * period > engine_patience + 5
    # the same before its first beat
    assert registration > engine_patience + 5
