"""Recovery's schedule as staff read it: its last sweeps with what they did, and whether and why it is paused."""

from datetime import timedelta
from typing import Any

from temporalio.client import Client

from settings import Settings
from tests.api.people import Person
from tests.waiting import until
from workflows.sweeps.schedules import RECOVERY_SCHEDULE, recovery_sweep, schedule_sweep


async def test_recovery_tells_its_last_sweeps_and_why_it_is_paused(
    operator: Person, client: Client, settings: Settings
) -> None:
    async def recovery() -> dict[str, Any]:
        answer = await operator.get("/v1/admin/recovery")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    await schedule_sweep(client, settings.task_queue, recovery_sweep(timedelta(hours=1)))
    handle = client.get_schedule_handle(RECOVERY_SCHEDULE)
    try:
        await handle.trigger()

        async def is_swept() -> bool:
            sweeps = (await recovery())["sweeps"]
            return bool(sweeps and sweeps[0]["status"] == "completed")

        await until(is_swept, "a sweep has ended")
        found = await recovery()
        assert (found["is_scheduled"], found["is_paused"]) == (True, False)
        assert found["next_sweep_at"]
        assert (found["sweeps"][0]["looked_at"], found["sweeps"][0]["unanswered"]) == (0, {})

        await handle.pause(note="ticket 4711")
        found = await recovery()
        assert (found["is_paused"], found["note"], found["next_sweep_at"]) == (True, "ticket 4711", None)
    finally:
        await handle.delete()
    assert not (await recovery())["is_scheduled"]
