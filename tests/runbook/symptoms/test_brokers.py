"""The page on brokers and dead letters: what is dead is found, sent again and given up."""

import re
import secrets

import asyncpg

from devenv.stack import Running
from events.dead_letter import Undelivered
from events.postgres.dead_letters import bury
from tests.runbook.commands import Runbook

SINKS = """curl -s "$API/v1/admin/sinks" -H "Authorization: Bearer $STAFF_TOKEN" | python3 -m json.tool"""
LIST = """remit dead-letters list --api "$API" --source rabbitmq"""
SHOW = """remit dead-letters show dlt_… --api "$API"                              # with its body"""
REPLAY = """remit dead-letters replay dlt_… --api "$API" --reason 'ticket 4711'"""
REPLAY_ALL = (
    """remit dead-letters replay --api "$API" --source rabbitmq --since 2026-01-31T08:00:00 --reason 'ticket 4711'"""
)
RETIRE = """remit events retire-sink kafka --api "$API" --reason 'ticket 4711'"""
DISCARD = """remit dead-letters discard dlt_… --api "$API" --reason 'ticket 4711'    # for good"""

HAS_RUN = """
    INSERT INTO sinks (name, kind, position) SELECT 'rabbitmq', 'publisher', last FROM event_head ON CONFLICT DO NOTHING
"""


async def died(stack: Running, many: int) -> list[str]:
    """So many dead letters of RabbitMQ."""
    connection = await asyncpg.connect(stack.database_url)
    await connection.execute(HAS_RUN)
    found = []
    for _ in range(many):
        event_id = f"evt_{secrets.token_hex(16)}"
        body = {"subject": "whe_1"}
        letter = Undelivered(source="rabbitmq", event_id=event_id, type="account.created", reason="unbound", body=body)
        async with connection.transaction():
            found.append(await bury(connection, letter))  # type: ignore[arg-type]
    await connection.close()
    return [str(letter_id) for letter_id in found]


async def test_dead_letters_are_found_sent_again_and_given_up(stack: Running, runbook: Runbook) -> None:
    first, second, third = await died(stack, 3)
    assert '"account_stats"' in await runbook.run(SINKS)
    assert set(re.findall(r"dlt_[a-z2-7]{26}", await runbook.run(LIST))) == {first, second, third}
    assert '"subject": "whe_1"' in await runbook.run(SHOW, {"dlt_…": first})
    assert "replayed" in await runbook.run(REPLAY, {"dlt_…": first})
    assert "discarded" in await runbook.run(DISCARD, {"dlt_…": second})
    assert third in await runbook.run(REPLAY_ALL)
    assert "0 dead letters." in await runbook.run(LIST)
    assert "dead_letter_ended" in await runbook.run(REPLAY, {"dlt_…": first}, exits=2)


async def test_the_sink_of_a_broker_that_is_not_used_any_more_is_retired(
    stack: Running, admins_runbook: Runbook
) -> None:
    connection = await asyncpg.connect(stack.database_url)
    await connection.execute("INSERT INTO sinks (name, kind, position) VALUES ('kafka', 'publisher', 1)")
    await connection.close()
    assert "kafka is retired: it had delivered all events up to 1." in await admins_runbook.run(RETIRE)
