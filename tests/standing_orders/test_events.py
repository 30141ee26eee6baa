"""What happens to standing orders is told by events that fit their contract."""

import json
from datetime import timedelta

from events.envelope import envelope_of
from events.event import EventType
from events.postgres.sequencer import number_all
from events.postgres.stream import EventStream
from events.views import as_seen_by
from standing_orders.calendar import Frequency
from standing_orders.standing_order import OutageRule
from tests.connections import Connection
from tests.events.test_schemas import OF_STANDING_ORDERS, validate
from tests.standing_orders.scene import Scene


async def test_each_event_of_an_order_fits_its_contract_and_is_its_owners_alone(
    scene: Scene, owner: Connection
) -> None:
    payer, payee, closed = await scene.holder(1_000), await scene.holder(), await scene.holder()
    made = await scene.ordered(payer, payee)
    await scene.orders.change(payer.id, made.id, {"note": "Rent"})
    for act in (scene.orders.pause, scene.orders.resume, scene.orders.cancel):
        await act(payer.id, made.id)
    await scene.ordered(payer, payee, frequency=Frequency.ONCE)
    await scene.ordered(payer, payee, frequency=Frequency.MONTHLY, after_outage=OutageRule.MISS)
    await scene.ordered(payer, closed, frequency=Frequency.ONCE, after_outage=OutageRule.PAY_EACH)
    await owner.execute("UPDATE accounts SET status = 'closed' WHERE id = $1", closed.account_id)
    scene.later = timedelta(days=2)
    await scene.sweep()
    await number_all(scene.database)
    events = [
        event for event in await EventStream(scene.database).after(0, 500) if event.type.startswith("standing_order.")
    ]
    assert {EventType(event.type) for event in events} == OF_STANDING_ORDERS
    for event in events:
        assert event.audience == (payer.id,)
        seen = as_seen_by(event, payer.id)
        assert seen is not None
        validate(json.dumps(envelope_of(seen)))
