"""What customers read of the projections, and how staff follow and rebuild them."""

from typing import Any

from tests.api.people import Person, answered
from tests.connections import Connection
from tests.waiting import until

WHY = {"reason": "ticket 4711"}


async def shown(person: Person, path: str, **expected: Any) -> dict[str, Any]:
    """The answer, once it has these values: projections follow."""
    found: dict[str, Any] = {}

    async def is_there() -> bool:
        found.update((await person.get(path)).json())
        return {name: found.get(name) for name in expected} == expected

    await until(is_there, f"{path} shows {expected}")
    return found


async def test_a_status_tells_only_its_customer_when_each_state_was_reached(ada: Person, ben: Person) -> None:
    transfer = (await ada.pay(ben, 1_00)).json()
    path = f"/v1/transfers/{transfer['id']}/status"
    found = await shown(ada, path, state="completed")
    assert [each["state"] for each in found["reached"]] == ["initiated", "debited", "completed"]
    assert found["reached"][0]["at"] == transfer["created_at"]
    assert found["reached"][2]["at"] == transfer["completed_at"]
    assert found["latency_ms"] >= 0
    assert answered(await ben.get(path))["code"] == "transfer_not_found"


async def test_an_admin_rebuilds_a_projection_once_for_a_key_and_follows_it(
    ada: Person, admin: Person, operator: Person, owner: Connection
) -> None:
    stats = f"/v1/admin/accounts/{ada.account_id}/stats"
    projected = await shown(operator, stats, deposits=1)
    assert {name: value for name, value in projected.items() if name != "position"} == (
        await ada.get(f"/v1/accounts/{ada.account_id}/stats")
    ).json()
    await owner.execute("UPDATE account_stats SET deposits = 7")
    path = "/v1/admin/projections/account_stats"
    first = await admin.post(f"{path}/rebuild", WHY, key="one")
    assert (first.status_code, first.headers["Location"]) == (202, path)
    again = await admin.post(f"{path}/rebuild", WHY, key="one")
    assert (again.json(), again.headers["Idempotent-Replayed"]) == (first.json(), "true")
    assert (first.json()["requested_by"], first.json()["stage"]) == (admin.id, "requested")
    found = await shown(operator, path, generation=2)
    assert found["rebuild"]["id"] == first.json()["id"]
    assert (await operator.get(stats)).json()["deposits"] == 1
    (action,) = (await admin.get("/v1/admin/actions", subject="account_stats")).json()["items"]
    assert (action["action"], action["actor_id"], action["outcome"]) == ("rebuild_projection", admin.id, "taken")


async def test_staff_see_how_far_sinks_and_projections_are(ada: Person, operator: Person) -> None:
    async def all_run() -> bool:
        """Notifications of what has just happened may still come."""
        lists = [(await operator.get(f"/v1/admin/{each}")).json()["items"] for each in ("projections", "sinks")]
        names = [{each["name"] for each in listed} >= {"account_stats", "transfer_status"} for listed in lists]
        on = [each for each in (*lists[0], *lists[1]) if each["state"] != "off"]
        states = {(each["state"], each["lag_events"], each["lag_seconds"]) for each in on}
        return all(names) and states == {("running", 0, 0)}

    await until(all_run, "all sinks and projections are up to date")
    assert answered(await operator.get("/v1/admin/projections/balances"))["code"] == "projection_not_found"


async def test_a_broker_that_is_not_configured_is_listed_as_off(operator: Person) -> None:
    listed = {each["name"]: each for each in (await operator.get("/v1/admin/sinks")).json()["items"]}
    assert list(listed) == sorted(listed)
    for name in ("kafka", "rabbitmq"):
        sink = listed[name]
        assert (sink["state"], sink["position"], sink["lag_events"], sink["kind"]) == ("off", 0, 0, "publisher")


async def test_an_admin_retires_a_sink_that_nobody_runs_and_it_holds_up_no_old_events(
    admin: Person, operator: Person, owner: Connection
) -> None:
    await owner.execute("INSERT INTO sinks (name, kind, position) VALUES ('journal', 'publisher', 3)")
    path = "/v1/admin/sinks/journal/retire"
    assert answered(await operator.post(path, WHY))["code"] == "forbidden"
    leased = (
        "UPDATE sinks SET lease = 'a worker', leased_until = now() + $1 * interval '1 minute' WHERE name = 'journal'"
    )
    await owner.execute(leased, 1)
    assert answered(await admin.post(path, WHY))["code"] == "sink_in_use"
    await owner.execute(leased, 0)
    first = await admin.post(path, WHY, key="one")
    assert (first.status_code, first.json()) == (200, {"name": "journal", "position": 3})
    again = await admin.post(path, WHY, key="one")
    assert (again.json(), again.headers["Idempotent-Replayed"]) == (first.json(), "true")
    assert answered(await admin.post(path, WHY))["code"] == "sink_not_found"
    assert "journal" not in {each["name"] for each in (await admin.get("/v1/admin/sinks")).json()["items"]}
    (action,) = (await admin.get("/v1/admin/actions", subject="journal")).json()["items"]
    assert (action["action"], action["reason"], action["before"]) == ("retire_sink", WHY["reason"], {"position": 3})


async def test_a_sink_of_remit_cannot_be_retired(admin: Person) -> None:
    assert answered(await admin.post("/v1/admin/sinks/webhooks/retire", WHY))["code"] == "sink_in_use"
