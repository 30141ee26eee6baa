"""What `remit verify` finds of events: each change without one, each gap, each version out of order."""

import pytest

from database.connections import Database
from events.postgres import invariants
from events.postgres.invariants import verify_events
from tests.connections import Connection
from tests.events.conftest import Story


@pytest.fixture
async def settled(story: Story, owner: Connection, monkeypatch: pytest.MonkeyPatch) -> Story:
    """The story, looked at a minute later."""
    monkeypatch.setattr(invariants, "_DAYS", invariants._DAYS.replace("- interval '1 minute'", ""))  # noqa: SLF001
    await owner.execute("SET session_replication_role = replica")
    return story


async def found(database: Database) -> set[tuple[str, str]]:
    return {(one.invariant, one.subject) for one in await verify_events(database)}


async def test_every_change_of_a_whole_story_has_its_event_in_order(settled: Story, database: Database) -> None:
    assert await verify_events(database) == []
    assert await verify_events(database, full=True) == []


async def test_a_lost_event_is_a_gap_and_the_change_that_misses_it_is_named(
    settled: Story, database: Database, owner: Connection
) -> None:
    lost = next(event for event in settled.events if event.type == "transfer.debited" and event.account_id)
    await owner.execute("DELETE FROM outbox_events WHERE event_id = $1", lost.event_id)
    assert await found(database) == {
        ("event_gap", str(lost.position)),
        ("event_order", lost.account_id),
        ("event_of_entry", lost.subject),
    }


async def test_changes_whose_triggers_were_off_are_named(settled: Story, database: Database, owner: Connection) -> None:
    await owner.execute(
        "DELETE FROM outbox_events WHERE subject = ANY ($1::text[])",
        [settled.bob.id, settled.bob.account_id, "dsp_" + "a" * 26],
    )
    await owner.execute(
        "WITH n AS (SELECT id, occurred_at, row_number() OVER (ORDER BY position) AS place "
        "FROM outbox_events) UPDATE outbox_events e SET position = place FROM n WHERE e.id = n.id"
    )
    await owner.execute("UPDATE event_head SET last = (SELECT count(*) FROM outbox_events)")
    assert await found(database) == {
        ("event_of_customer", settled.bob.id),
        ("event_of_account", settled.bob.account_id),
        ("event_of_dispute", "dsp_" + "a" * 26),
    }


async def test_an_account_whose_versions_do_not_ascend_is_named(
    settled: Story, database: Database, owner: Connection
) -> None:
    two = [
        event for event in settled.events if event.account_id == settled.alice.account_id and event.data.get("entry")
    ]
    swap = "UPDATE outbox_events SET position = $2 WHERE event_id = $1"
    await owner.execute(swap, two[0].event_id, two[1].position)
    await owner.execute(swap, two[1].event_id, two[0].position)
    assert ("event_order", settled.alice.account_id) in await found(database)
    assert not [one for one in await found(database) if one[0] != "event_order"]


async def test_a_position_that_two_events_have_is_named(settled: Story, database: Database, owner: Connection) -> None:
    await owner.execute("UPDATE outbox_events SET position = 1 WHERE position = 2")
    assert {("event_gap", "1"), ("event_gap", "2")} <= await found(database)
