"""sdc_machine and the limits of an account: sdc-cloudapi, plugins/provision_limits.js."""

from __future__ import annotations

import pytest

from smartdc import errors

from ..modules_support import OFFER, cluster

QUOTA = "Quota exceeded; to have your limits raised please contact Support"


@pytest.fixture
def limited(cloud):
    """Set the limits of the account, as the operator does."""

    def limit(*limits):
        assert cloud.admin("PUT", "accounts/acme/limits", {"limits": list(limits)}).ok

    return limit


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ([{"value": 3}], "4 more machines, and 0 of 3 are in use"),
        ([{"by": "machines", "value": -1}], "4 more machines, and 0 of -1 are in use"),
        ([{"by": "ram", "value": 1536}], "2048 more MiB of memory, and 0 of 1536 are in use"),
        ([{"by": "quota", "value": 39}], "40 more GiB of disk, and 0 of 39 are in use"),
        (
            [{"value": 9}, {"value": 1, "check": "image", "image": "base-64-lts"}],
            "needs 4 more machines (image base-64-lts), and 0 of 1 are in use",
        ),
        ([{"value": 1, "check": "os", "os": "smartos"}], "(os smartos)"),
        ([{"value": 1, "check": "brand", "brand": "joyent"}], "(brand joyent)"),
    ],
)
def test_too_many_are_refused_before_the_first(cloud, limited, sdc_machine, limits, words):
    limited(*limits)
    failed = sdc_machine(expect="fail", **cluster(3))
    assert words in failed.msg and "Nothing was created" in failed.msg
    assert failed["created"] == [] and cloud.machines() == {}
    assert cloud.count("POST", "/machines") == 0
    assert words in sdc_machine(check=True, expect="fail", **cluster(3)).msg


@pytest.mark.parametrize(
    "limits",
    [
        [{"value": 4}, {"by": "ram", "value": 2048}, {"by": "quota", "value": 40}, {"value": 0}],
        [{"value": 1, "check": "os", "os": "linux"}],
        [{"value": 1, "check": "image", "image": "minimal-64-lts"}],
        [{"value": 1, "check": "brand", "brand": "lx"}],
    ],
)
def test_what_the_limits_allow_is_made(cloud, limited, sdc_machine, limits):
    limited(*limits)
    assert len(sdc_machine(**cluster(3))["created"]) == 4
    # what exists is not asked for again
    limited({"value": 1})
    assert not sdc_machine(**cluster(3))["changed"]


def test_a_refusal_in_the_middle_is_no_lack_of_permission(cloud, limited, sdc_machine, monkeypatch):
    """Somebody else of the account was faster, or it may not read its limits."""

    def forbidden(_):
        raise errors.Forbidden("You do not have permission to access /acme/limits")

    monkeypatch.setattr("smartdc.DataCenter.limits", forbidden)
    limited({"value": 2})
    failed = sdc_machine(expect="fail", **cluster(3))
    assert QUOTA in failed.msg and failed["status"] == 403
    assert "triton cloudapi /my/limits" in failed.msg and "permission" not in failed.msg
    assert len(failed["created"]) == 2 == len(cloud.machines())
    limited({"value": 4})
    assert len(sdc_machine(**cluster(3))["kept"]) == 2


def test_one_machine_costs_no_further_request(cloud, sdc_machine):
    sdc_machine(name="solo", **OFFER)
    assert cloud.count("GET", "/limits") == 0


@pytest.mark.parametrize("answer", [[{"value": "many"}, {"used": 7}, {"value": 1}], None])
def test_limits_that_cannot_be_read_are_none(sdc_machine, monkeypatch, answer):
    """A CloudAPI that fails to count answers nothing (sdc-cloudapi, lib/account.js)."""

    def limits(_):
        if answer is None:
            raise errors.ProtocolError("answered nothing")
        return answer

    monkeypatch.setattr("smartdc.DataCenter.limits", limits)
    assert len(sdc_machine(**cluster(2))["created"]) == 3


def test_errors_of_403_are_told_apart(cloud, limited):
    limited({"value": -1})
    with cloud.client() as client:
        payload = {"image": client.list_images()[0]["id"], "package": OFFER["package"]}
        with pytest.raises(errors.QuotaExceeded, match="ask the data center's operator") as caught:
            client.create(payload)
        assert caught.value.code == "NotAuthorized"
        cloud.admin("PUT", "accounts/acme/disabled", {"disabled": True})
        with pytest.raises(errors.Disabled, match="disabled"):
            client.list_machines()
