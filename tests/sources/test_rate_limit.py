"""A bucket that several threads spend from, as the services of one retailer do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from retail.sources.http.rate_limit import Quota, QuotaPolicy


def quota(*, burst: float, per_second: float) -> Quota:
    return Quota(burst=burst, per_second=per_second, monotonic=lambda: 0.0)


def test_each_waits_behind_those_that_spent_before_it() -> None:
    bucket = quota(burst=2, per_second=0.5)
    assert [bucket.spend() for _ in range(4)] == [0, 0, 2, 4]


def test_what_was_not_used_is_given_back() -> None:
    bucket = quota(burst=1, per_second=1)
    bucket.spend()
    bucket.spend()
    bucket.give_back()
    assert bucket.spend() == 1


def test_many_threads_together_spend_no_more_than_there_is() -> None:
    bucket = quota(burst=10, per_second=1)
    with ThreadPoolExecutor(max_workers=8) as pool:
        waits = sorted(pool.map(lambda _: bucket.spend(), range(40)))
    assert waits == pytest.approx([0.0] * 10 + [float(second) for second in range(1, 31)])


def test_services_with_one_patience_spend_from_one_bucket() -> None:
    quota_policy = QuotaPolicy()
    first, second = (
        quota_policy.bucket("orders", burst=1, per_second=1, monotonic=lambda: 0.0) for _ in range(2)
    )
    other = quota_policy.bucket("items", burst=1, per_second=1, monotonic=lambda: 0.0)
    assert first is second
    assert (first.spend(), second.spend(), other.spend()) == (0, 1, 0)
    assert QuotaPolicy().bucket("orders", burst=1, per_second=1, monotonic=lambda: 0.0) is not first


def test_what_a_retailer_tells_does_not_forget_those_that_wait() -> None:
    bucket = quota(burst=20, per_second=1)
    for _ in range(15):
        bucket.spend()  # five wait behind the first ten to be sent
    for _ in range(10):
        bucket.sent()
    bucket.learn(available=2)  # the retailer knows of the ten alone
    assert bucket.spend() == 4
