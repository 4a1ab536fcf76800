"""The rate limit, alone and among threads."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from smartdc import DataCenter, TokenBucket
from smartdc.errors import (
    UsageError,
)

from .fake_cloud import FakeCloud, FakeHandler

Connect = Callable[..., DataCenter]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_bucket() -> None:
    clock = Clock()
    bucket = TokenBucket(30, 10, clock=clock, sleep=clock.sleep)
    assert [bucket.take() for _ in range(30)] == [0.0] * 30
    assert clock.now == 0
    for _ in range(100):
        bucket.take()
    assert clock.now == pytest.approx(10.0)
    clock.now += 1000
    for _ in range(31):
        bucket.take()
    assert clock.now == pytest.approx(1010.1)
    clock.now += 1000
    bucket.drain()
    assert bucket.take() == pytest.approx(0.1)


def test_bucket_among_threads() -> None:
    bucket = TokenBucket(5, 200)
    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: bucket.take(), range(65)))
    assert 0.29 <= time.monotonic() - began < 5


@pytest.mark.parametrize(("burst", "rate"), [(0, 10), (30, 0), (30, -1)])
def test_bucket_refuses_nonsense(burst: float, rate: float) -> None:
    with pytest.raises(UsageError):
        TokenBucket(burst, rate)


def test_server_side_throttle_slows_all_threads(cloud: FakeCloud, connect: Connect) -> None:
    server = TokenBucket(10, 100, sleep=lambda s: None)

    def fault(handler: FakeHandler) -> bool:
        if server.take() == 0.0:
            return False
        server._tokens += 1
        handler.answer(429, {"code": "RequestThrottled", "message": "slow down"})
        return True

    cloud.fault = fault
    sdc = connect(rate=(30, 100), sleep=time.sleep)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: sdc.create({"image": "x"}), range(40)))
    assert len(cloud.machines) == 40
