"""What is repeated, how often and when; over real sockets."""

from __future__ import annotations

import email.utils
import socket
import time
from collections.abc import Callable

import pytest
import requests

from smartdc import DataCenter
from smartdc.errors import (
    AnswerLost,
    APIError,
    InvalidArgument,
    NotFound,
    ServerError,
    Throttled,
    Unavailable,
)

from .fake_cloud import FakeCloud, FakeHandler

Connect = Callable[..., DataCenter]


class Failing:
    """Fails the first ``times`` requests with an answer, or by closing the connection."""

    def __init__(self, times: int, *statuses: int, headers: dict[str, str] | None = None) -> None:
        self.left, self.statuses, self.headers = times, statuses, headers

    def __call__(self, handler: FakeHandler) -> bool:
        if self.left == 0:
            return False
        self.left -= 1
        if not self.statuses:
            handler.connection.shutdown(socket.SHUT_RDWR)
            handler.close_connection = True
            return True
        status = self.statuses[self.left % len(self.statuses)]
        handler.answer(status, {"code": "Broken", "message": "as told"}, self.headers)
        return True


@pytest.mark.parametrize("status", [420, 429, 502, 503, 504])
def test_get_put_delete_are_repeated(status: int, cloud: FakeCloud, connect: Connect) -> None:
    sdc = connect()
    machine = cloud.add()
    for call in (
        lambda: sdc.get_machine(machine["id"]),
        lambda: sdc.count_machines(),
        lambda: sdc.replace_tags(machine["id"], {"a": "b"}),
        lambda: sdc.delete(machine["id"]),
    ):
        cloud.requests.clear()
        cloud.fault = Failing(3, status)
        call()
        assert len(cloud.requests) == 4


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_create_is_not_repeated(status: int, cloud: FakeCloud, connect: Connect) -> None:
    cloud.fault = Failing(1, status)
    with pytest.raises(ServerError) as caught:
        connect().create({"image": "x"})
    assert len(cloud.requests) == 1
    assert caught.value.ambiguous is (status != 503)
    assert isinstance(caught.value, Unavailable) is (status == 503)
    assert isinstance(caught.value, requests.HTTPError)
    assert caught.value.response is not None


@pytest.mark.parametrize("status", [420, 429])
def test_throttled_create_is_repeated(status: int, cloud: FakeCloud, connect: Connect) -> None:
    cloud.fault = Failing(2, status)
    connect().create({"image": "x"})
    assert (len(cloud.requests), len(cloud.machines)) == (3, 1)


def test_lost_connection(cloud: FakeCloud, connect: Connect) -> None:
    sdc = connect()
    cloud.fault = Failing(2)
    assert sdc.list_machines() == []
    cloud.fault = Failing(1)
    with pytest.raises(AnswerLost, match="look whether it took effect") as caught:
        sdc.create({"image": "x"})
    assert caught.value.ambiguous
    assert cloud.machines == {}
    machine = cloud.add()
    cloud.fault = Failing(1)
    sdc.act(machine["id"], "stop")
    cloud.fault = Failing(1)
    with pytest.raises(AnswerLost):
        sdc.act(machine["id"], "reboot")


def test_delete_whose_answer_was_lost_is_done(cloud: FakeCloud, connect: Connect) -> None:
    sdc = connect()
    machine = cloud.add(tags={"a": "b"})
    state = {"first": True}

    def fault(handler: FakeHandler) -> bool:
        if handler.command != "DELETE" or not state["first"]:
            return False
        state["first"] = False
        del machine["tags"]["a"]
        handler.connection.shutdown(socket.SHUT_RDWR)
        handler.close_connection = True
        return True

    cloud.fault = fault
    sdc.delete_tag(machine["id"], "a")
    with pytest.raises(NotFound):
        sdc.delete_tag(machine["id"], "a")


def test_gives_up_and_reports_the_last_error(cloud: FakeCloud, connect: Connect) -> None:
    cloud.fault = Failing(100, 502)
    with pytest.raises(ServerError, match=r"Broken: as told \(GET /acme/machines: 502"):
        connect(retries=3).list_machines()
    assert len(cloud.requests) == 4


def test_retry_after(cloud: FakeCloud, connect: Connect) -> None:
    slept: list[float] = []
    cloud.fault = Failing(1, 429, headers={"Retry-After": "7"})
    connect(sleep=slept.append).list_machines()
    assert 7 <= slept[0] <= 8
    slept.clear()
    moment = email.utils.formatdate(time.time() + 20, usegmt=True)
    cloud.fault = Failing(1, 503, headers={"Retry-After": moment})
    connect(sleep=slept.append).list_machines()
    assert 18 <= slept[0] <= 23
    slept.clear()
    cloud.fault = Failing(9, 429, headers={"Retry-After": "3600"})
    with pytest.raises(Throttled, match="too many requests"):
        connect(sleep=slept.append).list_machines()
    assert slept == []
    for nonsense in ("soon", "-5", "nan", "1e999"):
        cloud.fault = Failing(1, 429, headers={"Retry-After": nonsense})
        connect(sleep=slept.append).list_machines()
    assert all(0 < s < 10 for s in slept)


def test_backoff_is_capped_and_grows(cloud: FakeCloud, connect: Connect) -> None:
    slept: list[float] = []
    cloud.fault = Failing(9, 503)
    connect(sleep=slept.append, retries=9).list_machines()
    assert len(slept) == 9
    assert max(slept) <= 8
    assert slept[-1] > slept[0]


def test_not_repeated_at_all(cloud: FakeCloud, connect: Connect) -> None:
    for status in (400, 403, 404, 409, 410, 422, 500):
        cloud.requests.clear()
        cloud.fault = Failing(1, status)
        with pytest.raises(APIError) as caught:
            connect().list_machines()
        assert caught.value.status == status
        assert len(cloud.requests) == 1


def test_validation_errors_name_the_fields(cloud: FakeCloud, connect: Connect) -> None:
    body = {
        "code": "ValidationFailed",
        "message": "Invalid Parameters",
        "errors": [{"field": "uuid", "code": "Invalid", "message": "Invalid UUID"}, "noise"],
    }

    def fault(handler: FakeHandler) -> bool:
        handler.answer(409, body)
        return True

    cloud.fault = fault
    with pytest.raises(InvalidArgument, match=r"\[uuid: Invalid UUID\]") as caught:
        connect().get_machine("x")
    assert caught.value.fields == {"uuid": "Invalid UUID"}
