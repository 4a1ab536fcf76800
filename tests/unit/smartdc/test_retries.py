"""What is repeated, how often and when; over real sockets."""

from __future__ import annotations

import email.utils
import random
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
    TimedOut,
    Unreachable,
    UsageError,
)

from .fake_cloud import FakeCloud, FakeHandler, VirtualTime

Connect = Callable[..., DataCenter]


def fail(handler: FakeHandler, status: int | None, headers: dict[str, str] | None = None) -> bool:
    """Answer with a status, or cut the connection when that is None."""
    if status is None:
        handler.connection.shutdown(socket.SHUT_RDWR)
        handler.close_connection = True
    else:
        handler.answer(status, {"code": "Broken", "message": "as told"}, headers)
    return True


class Failing:
    """Fails the first ``times`` requests with an answer, or by closing the connection."""

    def __init__(
        self, times: float, *statuses: int | None, headers: dict[str, str] | None = None
    ) -> None:
        self.left, self.statuses, self.headers = times, statuses or (None,), headers
        self.struck = 0

    def __call__(self, handler: FakeHandler) -> bool:
        if self.left <= 0:
            return False
        self.left -= 1
        self.struck += 1
        return fail(handler, self.statuses[self.struck % len(self.statuses)], self.headers)


ALWAYS = float("inf")


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


@pytest.mark.parametrize("status", [500, 502, 504])
def test_create_is_not_repeated(status: int, cloud: FakeCloud, connect: Connect) -> None:
    cloud.fault = Failing(1, status)
    with pytest.raises(ServerError, match="look whether it took effect") as caught:
        connect().create({"image": "x"})
    assert len(cloud.requests) == 1
    assert caught.value.ambiguous
    assert isinstance(caught.value, requests.HTTPError)
    assert caught.value.response is not None


@pytest.mark.parametrize("status", [420, 429, 503])
def test_refused_create_is_repeated(status: int, cloud: FakeCloud, connect: Connect) -> None:
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


def storm(time_: VirtualTime, seconds: float, seed: int) -> Callable[[FakeHandler], bool]:
    """So many seconds in which each request meets one trouble or another."""
    order = random.Random(seed)
    end = time_() + seconds

    def strike(handler: FakeHandler) -> bool:
        if time_() >= end:
            return False
        return fail(handler, order.choice([429, 503, 502, None, None]))

    return strike


@pytest.mark.parametrize("seed", range(25))
def test_half_a_minute_of_everything(
    seed: int, cloud: FakeCloud, connect: Connect, time_: VirtualTime
) -> None:
    sdc = connect(jitter=random.Random(seed))
    machine = cloud.add(tags={"a": "b"})
    for call in (
        lambda: sdc.get_machine(machine["id"]),
        lambda: sdc.count_machines(),
        lambda: sdc.replace_tags(machine["id"], {"a": "c"}),
        lambda: sdc.act(machine["id"], "stop"),
        lambda: sdc.delete_tag(machine["id"], "a"),
    ):
        began, before = time_(), len(cloud.requests)
        cloud.fault = storm(time_, 30, seed)
        call()
        assert 30 <= time_() - began < 45
        assert len(cloud.requests) - before < 60, "the pauses grow"


@pytest.mark.parametrize("statuses", [(429,), (503,), (None,), (429, 503, None)])
def test_what_lasts_ends_within_the_budget(
    statuses: tuple[int | None, ...], cloud: FakeCloud, connect: Connect, time_: VirtualTime
) -> None:
    """A cut request for something is repeated for as long as one that got 503."""
    sdc = connect()
    machine = cloud.add()
    for call in (
        lambda: sdc.list_machines(),
        lambda: sdc.replace_tags(machine["id"], {"a": "c"}),
        lambda: sdc.delete(machine["id"]),
    ):
        began = time_()
        cloud.fault = Failing(ALWAYS, *statuses)
        with pytest.raises((APIError, AnswerLost)) as caught:
            call()
        assert 30 < time_() - began <= 45
        assert "asked " in str(caught.value)
        assert "took effect" not in str(caught.value)


def test_the_message_tells_what_was_tried(cloud: FakeCloud, connect: Connect) -> None:
    cloud.fault = Failing(ALWAYS, 503, 503, None)
    with pytest.raises((APIError, AnswerLost), match=r"\d+ refused") as caught:
        connect(patience=10).list_machines()
    assert " cut" in str(caught.value) and " s (" in str(caught.value)


def test_each_kind_of_trouble_is_counted_by_itself(
    cloud: FakeCloud, connect: Connect, time_: VirtualTime
) -> None:
    order = iter([503] * 6 + [None, 429])
    cloud.fault = lambda handler: (status := next(order, 200)) != 200 and fail(handler, status)
    connect().list_machines()
    assert len(time_.slept) == 8
    assert time_.slept[5] >= 4, "the sixth refusal"
    assert time_.slept[6] <= 0.5 and time_.slept[7] <= 0.5, "the first cut, the first throttling"


def test_pauses_are_spread_and_can_be_repeated(
    cloud: FakeCloud, connect: Connect, time_: VirtualTime
) -> None:
    def pauses(seed: int) -> list[float]:
        time_.slept.clear()
        cloud.fault = Failing(5, 503)
        connect(jitter=random.Random(seed)).list_machines()
        return list(time_.slept)

    assert pauses(1) == pauses(1) != pauses(2)


def test_a_server_that_says_nothing_takes_no_more_than_the_budget(
    cloud: FakeCloud, connect: Connect
) -> None:
    def hang(handler: FakeHandler) -> bool:
        handler.connection.settimeout(60)
        handler.connection.recv(1)
        handler.close_connection = True
        return True

    cloud.fault = hang
    began = time.monotonic()
    with pytest.raises(TimedOut):
        connect(patience=0.5, sleep=time.sleep, clock=time.monotonic).list_machines()
    assert time.monotonic() - began < 20, "an answer may take 30 s"
    with pytest.raises(UsageError, match="patience"):
        connect(patience=0)


def test_what_must_not_be_done_twice_says_so(cloud: FakeCloud, connect: Connect) -> None:
    sdc = connect()
    machine = cloud.add()
    for call in (lambda: sdc.create({"image": "x"}), lambda: sdc.act(machine["id"], "reboot")):
        cloud.requests.clear()
        cloud.fault = Failing(1)
        with pytest.raises(Unreachable, match="look whether it took effect before") as caught:
            call()
        assert caught.value.ambiguous and len(cloud.requests) == 1


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
    with pytest.raises(Throttled, match="asks to wait 3600 s; too many requests"):
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


@pytest.mark.parametrize(
    ("status", "code", "message", "advice"),
    [
        (
            403,
            "NotAuthorized",
            "Quota exceeded; to have your limits raised please contact Support",
            "as much as its limits allow",
        ),
        (429, "RequestThrottled", "slow down", "too many requests"),
        (
            403,
            "NotAuthorized",
            "You do not have permission to access /acme/users",
            "permission; ask",
        ),
        (
            403,
            "NotAuthorized",
            "You do not have permission to access /acme/machines (createmachine)",
            "CAN createmachine *",
        ),
        (403, "NotAuthorized", "Account or user is disabled", "ask the data center's operator, or"),
        (403, "Forbidden", "rule is not yours", "belongs to another account"),
        (403, "OperatorOnly", "no", "only the data center's operator"),
        (409, "InsufficientCapacity", "No compute resources available", "no server has room"),
        (507, "SubnetFull", "Subnet is full", "no free address"),
    ],
)
def test_each_lack_says_its_own_thing(
    status: int, code: str, message: str, advice: str, cloud: FakeCloud, connect: Connect
) -> None:
    def fault(handler: FakeHandler) -> bool:
        handler.answer(status, {"code": code, "message": message})
        return True

    cloud.fault = fault
    with pytest.raises(APIError) as caught:
        connect().create({"image": "x"})
    assert message in str(caught.value) and advice in str(caught.value)
    assert "lacks the permission" not in str(caught.value) or "permission to access" in message
