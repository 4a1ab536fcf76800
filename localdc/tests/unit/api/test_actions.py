"""Actions, tags, metadata, audit, and what zones report."""

import pytest

from localdc.api.catalogue import packages
from localdc.api.compute import ComputeError
from localdc.api.engine.records_only import RecordsCompute

from .harness import BASE64, error


class Failing(RecordsCompute):
    """Fails the calls whose names are in `broken`."""

    def __init__(self):
        super().__init__(provision_seconds=0)
        self.broken = {}

    def __getattribute__(self, name):
        if name in ("provision", "boot", "halt", "destroy", "reconfigure", "delete_volume"):
            problem = super().__getattribute__("broken").get(name)
            if problem:

                async def fail(*args):
                    raise problem

                return fail
        return super().__getattribute__(name)


def test_stop_start_reboot(dc):
    uuid = dc.create()
    answer = dc.act(uuid, "stop")
    assert (answer.status_code, answer.content) == (202, b"")
    assert dc.machine(uuid)["state"] == "stopped" and uuid not in dc.compute.running
    assert dc.machine(uuid)["nics"][0]["state"] == "stopped"
    dc.act(uuid, "start")
    assert dc.machine(uuid)["state"] == "running" and uuid in dc.compute.running
    dc.act(uuid, "reboot")
    assert dc.machine(uuid)["state"] == "running"
    audit = dc.audit(uuid)
    assert [e["action"] for e in audit] == ["reboot", "start", "stop", "provision"]
    assert {e["success"] for e in audit} == {"yes"}
    assert audit[0]["caller"] == {
        "type": "signature",
        "ip": "127.0.0.1",
        "keyId": f"/acme/keys/{dc.key.md5}",
    }


def test_wrong_state_shows_in_the_audit_only(dc):
    uuid = dc.create()
    assert dc.act(uuid, "start").status_code == 202
    last = dc.audit(uuid)[0]
    assert (last["action"], last["success"]) == ("start", "no")
    assert dc.why(uuid) == "cannot start a machine that is running"
    dc.act(uuid, "stop")
    for action in ("stop", "reboot"):
        dc.act(uuid, action)
        assert dc.audit(uuid)[0]["success"] == "no"
    assert dc.machine(uuid)["state"] == "stopped"


def test_bad_actions(dc):
    uuid = dc.create()
    path = f"/my/machines/{uuid}"
    assert error(dc.post(path)) == (409, "MissingParameter", "action is required")
    assert error(dc.post(path, json={"action": "explode"})) == (
        409,
        "InvalidArgument",
        "explode is not a valid action",
    )
    assert error(dc.act(uuid, "resize"))[2] == "package must be specified"
    assert error(dc.act(uuid, "resize", package="none"))[2] == "none is not a valid package"
    assert error(dc.act(uuid, "rename"))[2] == "New name must be specified"
    own = dc.machine(uuid)["name"]
    assert "Already exists for this owner_uuid" in error(dc.act(uuid, "rename", name=own))[2]


def test_no_actions_while_provisioning(start):
    dc = start(compute=RecordsCompute(provision_seconds=0.5))
    uuid = dc.create(settle=False)
    for action in ("stop", "start", "reboot"):
        answer = dc.post(f"/my/machines/{uuid}", json={"action": action})
        assert error(answer) == (
            409,
            "UnallocatedVM",
            f"Cannot call {action} for a VM that has not been provisioned yet",
        )


def test_resize_and_rename(dc):
    uuid, other = dc.create("a"), dc.create("b")
    big = next(p for p in packages() if p.name == "sample-2G")
    assert dc.act(uuid, "resize", package=big.id).status_code == 202
    machine = dc.machine(uuid)
    assert (machine["package"], machine["memory"]) == ("sample-2G", 2048)
    assert dc.compute.zones[uuid].ram == 2048
    dc.act(uuid, "rename", name="c")
    assert dc.machine(uuid)["name"] == "c" and dc.compute.zones[uuid].alias == "c"
    assert error(dc.act(uuid, "rename", name="b"))[:2] == (409, "ValidationFailed")
    assert error(dc.act(uuid, "rename", name="-"))[:2] == (409, "ValidationFailed")
    assert error(dc.act(uuid, "rename", name="x" * 190))[:2] == (409, "InvalidArgument")
    assert dc.machine(other)["name"] == "b" and dc.machine(uuid)["name"] == "c"


def test_firewall_is_refused_until_it_is_real(start):
    dc = start()
    uuid = dc.create()
    assert error(dc.act(uuid, "enable_firewall"))[:2] == (501, "NotImplementedError")
    assert dc.act(uuid, "disable_firewall").status_code == 202
    assert dc.machine(uuid)["firewall_enabled"] is False


def test_firewall_where_the_compute_node_has_one(start):
    dc = start(firewall=True)
    uuid = dc.create(firewall_enabled=True)
    assert dc.machine(uuid)["firewall_enabled"] is True
    dc.act(uuid, "disable_firewall")
    assert dc.machine(uuid)["firewall_enabled"] is False
    assert dc.audit(uuid)[0]["action"] == "unknown"


def test_deletion_protection(dc):
    uuid = dc.create(deletion_protection=True)
    assert error(dc.delete(f"/my/machines/{uuid}")) == (
        409,
        "CannotDestroyMachineError",
        'Instance has "deletion_protection" enabled, preventing deletion',
    )
    dc.act(uuid, "disable_deletion_protection")
    assert dc.delete(f"/my/machines/{uuid}").status_code == 204
    other = dc.create("other")
    dc.act(other, "enable_deletion_protection")
    assert dc.machine(other)["deletion_protection"] is True
    assert dc.audit(other)[0]["action"] == "enable_deletion_protection"


def test_tags(dc):
    uuid = dc.create(**{"tag.a": "1"})
    path = f"/my/machines/{uuid}/tags"
    assert dc.get(path).json() == {"a": "1"}
    assert dc.post(path, json={"b": True, "c": 3}).json() == {"a": "1", "b": True, "c": 3}
    assert len(dc.post(path, json={"c": 3}).headers["x-job-uuid"]) == 36
    dc.settle()
    assert dc.compute.zones[uuid].tags == {"a": "1", "b": True, "c": 3}
    assert dc.get(f"{path}/a").json() == "1" and dc.get(f"{path}/c").json() == ""
    assert error(dc.get(f"{path}/x")) == (404, "ResourceNotFound", 'tag "x" not found')
    assert dc.delete(f"{path}/a").status_code == 204
    assert dc.delete(f"{path}/a").status_code == 404
    assert dc.put(path, json={"only": "one"}).json() == {"only": "one"}
    assert dc.delete(path).status_code == 204
    dc.settle()
    assert dc.machine(uuid)["tags"] == {} and dc.compute.zones[uuid].tags == {}
    assert [e["action"] for e in dc.audit(uuid)] == [
        "remove_tags",
        "replace_tags",
        "remove_tags",
        "set_tags",
        "set_tags",
        "provision",
    ]


@pytest.mark.parametrize(
    "tags",
    [
        {"x": [1]},
        {"x": None},
        {"a": "b", "docker:label:com.docker.compose": "1"},
        {"sdc_docker": True},
        {"triton.unknown": "1"},
        {"triton.cns.disable": "maybe"},
    ],
)
def test_bad_tags(dc, tags):
    uuid = dc.create(**{"tag.a": "1"})
    answer = dc.post(f"/my/machines/{uuid}/tags", json=tags)
    assert error(answer) == (
        409,
        "ValidationFailed",
        "error adding tags: Invalid tag parameters",
    )
    assert answer.json()["errors"][0]["field"] in ("tags", "tags.x")
    assert dc.machine(uuid)["tags"] == {"a": "1"}


def test_tags_of_docker_come_and_go_with_it(dc):
    """sdc-vmapi, lib/common/validation.js: DOCKER_TAG_DEFAULT_RE and validDeleteMetadata."""
    label = "docker:label:com.docker.x"
    uuid = dc.create(**{f"tag.{label}": "1", "tag.docker:label:mine": "2"})
    tags = f"/my/machines/{uuid}/tags"
    why = f'Special tag "{label}" may not be deleted'
    for answer, doing in (
        (dc.delete(f"{tags}/{label}"), "deleting tag"),
        (dc.delete(tags), "deleting all tags"),
        (dc.put(tags, json={"a": "b"}), "replacing tags"),
    ):
        assert error(answer)[2] == f"error {doing}: Invalid tag parameters"
        assert answer.json()["errors"] == [{"field": "tags", "code": "Invalid", "message": why}]
    assert dc.delete(f"{tags}/docker:label:mine").status_code == 204
    assert dc.get(tags).json() == {label: "1"}


def test_triton_tags(dc):
    tags = {
        "triton.cns.services": "web,api:8080",
        "triton.cns.disable": True,
        "triton.cns.reverse_ptr": "a.example.com",
        "triton.placement.exclude_virtual_servers": True,
        "tritoncli.ssh.port": 2222,
    }
    uuid = dc.create()
    assert dc.put(f"/my/machines/{uuid}/tags", json=tags).json() == tags


def test_metadata(dc):
    uuid = dc.create(**{"metadata.a": "1", "metadata.credentials": {"root": "s", "admin_pw": "t"}})
    path = f"/my/machines/{uuid}/metadata"
    assert set(dc.get(path).json()) == {"a", "root_authorized_keys"}
    with_secrets = dc.get(path, params={"credentials": "true"}).json()
    assert with_secrets["credentials"] == {"root": "s", "admin": "t"}
    assert dc.get(f"{path}/credentials").json() == {"root": "s", "admin": "t"}
    merged = dc.post(
        path, json={"b": "2", "x_pw": "no", "credentials": {"a": "b"}, "machine": "x", "uuid": "y"}
    )
    assert set(merged.json()) == {"a", "b", "root_authorized_keys"}
    dc.settle()
    assert dc.compute.zones[uuid].customer_metadata["b"] == "2"
    assert dc.get(f"{path}/b").json() == "2"
    assert dc.get(f"{path}/b", headers={"Accept": "text/plain"}).text == "2"
    assert error(dc.get(f"{path}/x"))[:2] == (404, "ResourceNotFound")
    assert dc.delete(f"{path}/b").status_code == 204 and dc.delete(f"{path}/b").status_code == 404
    for key in ("credentials", "root_authorized_keys", "administrator_pw"):
        assert error(dc.delete(f"{path}/{key}"))[:2] == (409, "InvalidArgument")
    bad = dc.post(path, json={"c": [1]})
    assert error(bad) == (409, "ValidationFailed", "Invalid metadatum parameters")
    assert bad.json()["errors"][0]["field"] == "customer_metadata.c"
    dc.post(path, json={"n": 5})
    assert dc.get(path).json()["n"] == 5
    assert error(dc.get(f"{path}/n")) == (404, "ResourceNotFound", "n is not metadata")
    assert dc.delete(path).status_code == 204
    assert set(dc.get(path).json()) == {"root_authorized_keys"}
    dc.settle()
    assert [e["action"] for e in dc.audit(uuid)][:4] == [
        "replace_metadata",
        "set_metadata",
        "remove_metadata",
        "set_metadata",
    ]


def test_passwords_are_shown_only_on_request(dc):
    credentials = {"metadata.credentials": {"root": "secret"}}
    uuid = dc.create(administrator_pw="hush", **credentials)
    for path in (f"/my/machines/{uuid}", "/my/machines", f"/my/machines/{uuid}/metadata"):
        text = dc.get(path).text
        assert "secret" not in text and "hush" not in text
    shown = dc.get("/my/machines", params={"credentials": "True"}).json()[0]
    assert shown["metadata"]["credentials"] == {"root": "secret", "administrator": "hush"}


def test_tags_while_provisioning_reach_the_zone(start):
    dc = start(compute=RecordsCompute(provision_seconds=0.2))
    uuid = dc.create(settle=False)
    assert dc.post(f"/my/machines/{uuid}/tags", json={"late": "1"}).status_code == 200
    dc.settle()
    assert dc.machine(uuid)["tags"] == {"late": "1"} == dc.compute.zones[uuid].tags


def test_zone_halts_and_reboots_by_itself(dc):
    uuid = dc.create()
    dc.run(dc.compute.exit_zone(uuid, reboot=True))
    dc.settle()
    assert dc.machine(uuid)["state"] == "running" and uuid in dc.compute.running
    dc.run(dc.compute.exit_zone(uuid))
    dc.settle()
    assert dc.machine(uuid)["state"] == "stopped"
    assert [e["action"] for e in dc.audit(uuid)] == ["provision"]
    dc.act(uuid, "start")
    assert dc.machine(uuid)["state"] == "running"


def test_late_news_of_an_old_zone_are_ignored(dc):
    uuid = dc.create()

    async def late():
        await dc.engine.zone_exited(uuid, False)
        # The machine is rebooted before the news is read.
        dc.app.state.center.engine._runner.boots[uuid] += 1

    dc.run(late())
    dc.settle()
    assert dc.machine(uuid)["state"] == "running"
    dc.run(dc.engine.zone_exited(BASE64, False))


def test_zone_writes_metadata(dc):
    uuid = dc.create()
    dc.run(dc.engine.put_metadata(uuid, "ready", "yes"))
    assert dc.machine(uuid)["metadata"]["ready"] == "yes"
    dc.run(dc.engine.put_metadata(uuid, "ready", None))
    assert "ready" not in dc.machine(uuid)["metadata"]
    with pytest.raises(ValueError, match="read-only"):
        dc.run(dc.engine.put_metadata(uuid, "sdc:uuid", "x"))
    with pytest.raises(KeyError):
        dc.run(dc.engine.put_metadata(BASE64, "a", "b"))


def test_failed_provision_tells_only_the_operator_why_and_can_be_deleted(start):
    """sdc-cloudapi, lib/audit.js, translate: four fields, none of which is a reason."""
    dc = start(compute=Failing())
    dc.compute.broken["provision"] = ComputeError("no space left on device")
    uuid = dc.create("web")
    assert dc.machine(uuid)["state"] == "failed" and dc.machine(uuid)["ips"] == []
    entry = dc.audit(uuid)[0]
    assert entry.keys() == {"success", "time", "action", "caller"} and entry["success"] == "no"
    assert dc.why(uuid) == "no space left on device"
    assert dc.get("/my/machines").json() == []
    assert len(dc.get("/my/machines", params={"tombstone": "1"}).json()) == 1
    dc.compute.broken.clear()
    dc.create("web")
    assert dc.delete(f"/my/machines/{uuid}").status_code == 204
    dc.settle()
    assert dc.get(f"/my/machines/{uuid}").status_code == 410


@pytest.mark.parametrize(
    "call, action, before, after",
    [
        ("halt", "stop", "running", "running"),
        ("halt", "reboot", "running", "running"),
        ("boot", "reboot", "running", "stopped"),
        ("boot", "start", "stopped", "stopped"),
        ("reconfigure", "rename", "running", "running"),
    ],
)
def test_failures_of_the_compute_node(start, call, action, before, after):
    dc = start(compute=Failing())
    uuid = dc.create()
    if before == "stopped":
        dc.act(uuid, "stop")
    dc.compute.broken[call] = RuntimeError("boom")
    body = {"name": "new"} if action == "rename" else {}
    assert dc.act(uuid, action, **body).status_code == 202
    entry = dc.audit(uuid)[0]
    assert (entry["action"], entry["success"]) == (action, "no")
    assert dc.why(uuid) == "internal error: RuntimeError: boom"
    assert dc.machine(uuid)["state"] == after


def test_failed_destroy_leaves_the_machine(start):
    dc = start(compute=Failing())
    uuid = dc.create()
    dc.compute.broken["destroy"] = ComputeError("busy")
    assert dc.delete(f"/my/machines/{uuid}").status_code == 204
    dc.settle()
    assert dc.machine(uuid)["state"] == "running"
    assert dc.why(uuid) == "busy"
    dc.compute.broken.clear()
    dc.delete(f"/my/machines/{uuid}")
    dc.settle()
    assert dc.get(f"/my/machines/{uuid}").status_code == 410


def test_a_volume_that_cannot_be_removed(start):
    dc = start(compute=Failing())
    uuid = dc.post("/my/volumes", json={"type": "tritonnfs", "name": "data"}).json()["id"]
    dc.settle()
    dc.compute.broken["delete_volume"] = ComputeError("device or resource busy")
    assert dc.delete(f"/my/volumes/{uuid}").status_code == 204
    dc.settle()
    assert dc.get(f"/my/volumes/{uuid}").json()["state"] == "failed"
    dc.compute.broken.clear()
    dc.delete(f"/my/volumes/{uuid}")
    dc.settle()
    assert dc.get(f"/my/volumes/{uuid}").status_code == 404
