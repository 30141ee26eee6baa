"""What a customer may know of an event: their own money, and of others what the API shows as well."""

import json
from collections.abc import Iterator

from events.event import Event
from events.views import as_seen_by
from tests.events.conftest import Story


def seen(story: Story, reader: str, subject: str) -> Iterator[Event]:
    views = (as_seen_by(event, reader) for event in story.events if event.subject == subject)  # type: ignore[arg-type]
    return (view for view in views if view is not None)


async def test_staff_see_every_event_whole(story: Story) -> None:
    assert [as_seen_by(event, None) for event in story.events] == story.events


async def test_nobody_sees_an_event_that_is_not_for_them(story: Story) -> None:
    for event in story.events:
        for reader in (story.alice.id, story.bob.id, story.admin):
            assert (as_seen_by(event, reader) is not None) == (reader in event.audience)  # type: ignore[arg-type]


async def test_a_payee_sees_a_transfer_when_it_is_theirs_with_their_own_entry(story: Story) -> None:
    (paid,) = seen(story, story.bob.id, story.paid.transfer_id)
    assert paid.type == "transfer.completed"
    assert (paid.account_id, paid.account_version) == (story.bob.account_id, 1)
    assert paid.data["entry"]["balance_after"] == 30
    assert paid.data["transfer"]["owner_id"] is None


async def test_a_payer_sees_no_entry_and_no_version_of_the_payees_account(story: Story) -> None:
    opened, debited, paid = seen(story, story.alice.id, story.paid.transfer_id)
    assert opened.data["entry"] is None
    assert debited.data["entry"]["balance_after"] == 70
    assert (paid.data["entry"], paid.account_id, paid.account_version) == (None, None, None)


async def test_both_parties_of_a_reversal_by_staff_see_their_own_side_only(story: Story) -> None:
    taken, back = seen(story, story.bob.id, story.back.transfer_id)
    assert (taken.type, taken.data["entry"]["amount"]) == ("transfer.debited", -30)
    assert (back.type, back.data["entry"]) == ("transfer.completed", None)
    (got,) = seen(story, story.alice.id, story.back.transfer_id)
    assert got.data["entry"]["amount"] == 30


async def test_no_view_of_a_customer_names_another_one_or_the_side_of_a_failure(story: Story) -> None:
    people = {story.alice.id, story.bob.id, story.admin}
    for reader in people:
        for event in story.events:
            view = as_seen_by(event, reader)  # type: ignore[arg-type]
            if view is not None:
                text = json.dumps([view.data, view.audience, view.request_id])
                assert {person for person in people if person in text} <= {reader}
                assert '"side": "' not in text
