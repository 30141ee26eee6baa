from datetime import UTC, datetime, timedelta

import pytest

from webhooks.attempt import WebhookAnswer, rule_on
from webhooks.endpoint import (
    DISABLED_AFTER,
    FAILING_FROM,
    WARNED_AFTER,
    DeliveryState,
    DisabledBy,
    EndpointState,
    Health,
    Tried,
    health_after,
    overdue,
)
from webhooks.schedule import LONGEST_RETRY_AFTER, PAUSES, pause_after, probe_pause, retry_after_in

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def failed(status: int | None, retry_after: str | None = None) -> WebhookAnswer:
    return WebhookAnswer(NOW, 0, status, None if status else "No connection was made.", None, retry_after)


def test_pauses_go_from_five_seconds_to_more_than_three_days_in_all() -> None:
    assert PAUSES[0] == timedelta(seconds=5)
    assert list(PAUSES) == sorted(PAUSES)
    assert timedelta(days=3) < sum(PAUSES, timedelta(0)) < timedelta(days=4)
    assert pause_after(len(PAUSES), 0) is not None
    assert pause_after(len(PAUSES) + 1, 0) is None


def test_jitter_lengthens_a_pause_by_a_fifth_at_most() -> None:
    for failures, planned in enumerate(PAUSES, 1):
        lengths = [pause.length for permille in (0, 500, 999) if (pause := pause_after(failures, permille))]
        assert lengths[0] == planned
        assert lengths == sorted(lengths)
        assert lengths[-1] <= planned * 6 / 5


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120),
        (" 7 ", 7),
        ("Sun, 01 Mar 2026 00:10:00 GMT", 600),
        ("86400", 3600),
        ("9" * 400, 3600),
        ("Mon, 02 Mar 2026 00:00:00 GMT", 3600),
        ("Sat, 28 Feb 2026 00:00:00 GMT", None),
        ("Fri, 31 Dec 2026 23:59:59 +99999999999999999999", None),
        ("Fri, 31 Dec 99999999999999999999 23:59:59 GMT", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_counts_up_to_an_hour(header: str | None, seconds: int | None) -> None:
    assert retry_after_in(header, NOW) == (timedelta(seconds=seconds) if seconds else None)


def test_retry_after_lengthens_a_pause_and_never_shortens_it() -> None:
    assert rule_on(failed(503, "120"), 0, 0, is_test=False).next_attempt_at == NOW + timedelta(seconds=120)
    assert rule_on(failed(503, "1"), 0, 0, is_test=False).next_attempt_at == NOW + PAUSES[0]
    assert rule_on(failed(503, "1"), 8, 0, is_test=False).next_attempt_at == NOW + PAUSES[8]


def test_a_busy_endpoint_that_asks_for_it_is_left_alone_as_a_whole() -> None:
    for status, rest in ((429, timedelta(seconds=90)), (503, timedelta(seconds=90)), (500, None)):
        ruling = rule_on(failed(status, "90"), 0, 0, is_test=False)
        assert ruling.tried.rest == rest
        assert health_after(Health(EndpointState.ENABLED), [ruling.tried]).resting_until == (
            NOW + rest if rest else None
        )


def test_an_event_is_dead_once_its_schedule_is_over_and_a_test_at_once() -> None:
    assert rule_on(failed(500), len(PAUSES) - 1, 0, is_test=False).state is DeliveryState.PENDING
    assert rule_on(failed(500), len(PAUSES), 0, is_test=False).state is DeliveryState.DEAD
    assert rule_on(failed(500), 0, 0, is_test=True).state is DeliveryState.DEAD
    assert rule_on(WebhookAnswer(NOW, 1, 204), 5, 0, is_test=False).state is DeliveryState.DELIVERED


@pytest.mark.parametrize("status", [100, 199, 300, 301, 302, 304, 307, 400, 404, 500, 599])
def test_only_a_status_from_200_to_299_accepts(status: int) -> None:
    assert not WebhookAnswer(NOW, 1, status).accepted


def test_an_endpoint_that_is_gone_is_disabled_at_once_and_keeps_its_events() -> None:
    ruling = rule_on(failed(410), 3, 0, is_test=False)
    assert (ruling.state, ruling.failures) == (DeliveryState.PENDING, 3)
    after = health_after(Health(EndpointState.ENABLED), [ruling.tried])
    assert (after.state, after.disabled_by) == (EndpointState.DISABLED, DisabledBy.GONE)
    assert health_after(after, [Tried(NOW, accepted=True)]) == after


def test_five_failures_in_a_row_are_failing_and_one_success_ends_it() -> None:
    health = Health(EndpointState.ENABLED)
    for number in range(1, FAILING_FROM + 1):
        assert health.state is EndpointState.ENABLED
        health = health_after(health, [Tried(NOW, accepted=False)])
        assert health.failures == number
    assert health.state is EndpointState.FAILING
    assert health.resting_until == NOW + probe_pause(0)
    assert health_after(health, [Tried(NOW, accepted=True)]) == Health(EndpointState.ENABLED)


def test_an_outage_is_probed_at_least_once_a_minute() -> None:
    assert [probe_pause(failures) for failures in (0, 1, 3, 4, 500)] == [
        timedelta(seconds=seconds) for seconds in (5, 10, 40, 60, 60)
    ]


def test_five_days_of_failures_warn_at_half_and_disable_at_the_end() -> None:
    failing = health_after(Health(EndpointState.ENABLED), [Tried(NOW, accepted=False)] * FAILING_FROM)
    moment = timedelta(seconds=1)
    assert overdue(failing, NOW + WARNED_AFTER - moment).warned_at is None
    warned = overdue(failing, NOW + WARNED_AFTER)
    assert (warned.state, warned.warned_at) == (EndpointState.FAILING, NOW + WARNED_AFTER)
    assert overdue(warned, NOW + DISABLED_AFTER - moment) == warned
    disabled = overdue(warned, NOW + DISABLED_AFTER)
    assert (disabled.state, disabled.disabled_by) == (EndpointState.DISABLED, DisabledBy.FAILURES)
    assert (timedelta(days=5), timedelta(days=2.5)) == (DISABLED_AFTER, WARNED_AFTER)
    assert timedelta(0) < LONGEST_RETRY_AFTER <= timedelta(hours=1)


def test_one_failure_does_not_disable_an_endpoint_that_is_idle_for_days() -> None:
    one = health_after(Health(EndpointState.ENABLED), [Tried(NOW, accepted=False)])
    assert overdue(one, NOW + DISABLED_AFTER) == one
    again = health_after(one, [Tried(NOW + DISABLED_AFTER, accepted=False)])
    assert (again.state, again.failures) == (EndpointState.ENABLED, 2)
