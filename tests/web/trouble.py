"""What staff find at night: a review, a dispute, a case, a dead letter, and a transfer that is stuck."""

import secrets
from contextlib import AsyncExitStack
from dataclasses import dataclass

import httpx

from customers.documents.sandbox import REVIEW_NUMBER
from database.connections import WORKER_ROLE, Database
from devenv.stack import Running
from events.dead_letter import Undelivered
from events.postgres.dead_letters import bury
from staff.permissions import Role
from tests.api.people import Person, in_review, register, transfer_body
from tests.runbook.row_locks import account_held
from tests.waiting import until
from tests.web.conftest import deposited, of_staff

# Below what is flagged, and what is reviewed.
NO_CASE = 9_000_00
FLAGGED = 12_000_00
REVIEWED = 25_500_00


@dataclass(frozen=True)
class Trouble:
    """A payer and a payee, and the ids of what waits for staff."""

    payer: Person
    payee: Person
    reviewed: str
    disputed: str
    stuck: str
    letter: str
    held: str


async def rich(http: httpx.AsyncClient, amount: int, full_name: str = "Rita Lee") -> Person:
    """Somebody with at least this amount, by deposits that no rule objects to."""
    person = await register(http, full_name=full_name)
    for _ in range(-(-amount // NO_CASE)):
        await deposited(person, NO_CASE)
    return person


async def made_trouble(stack: Running, http: httpx.AsyncClient, admin: Person, until_then: AsyncExitStack) -> Trouble:
    """All of it. The stuck transfer stays stuck until the block ends."""
    payer, payee = await rich(http, FLAGGED + REVIEWED + 20_00), await register(http, full_name="Kim Roy")
    await payer.pay(payee, FLAGGED, prefer="wait=30", note="A car")
    disputed = (await payer.pay(payee, 20_00, prefer="wait=30", note="Shoes")).json()
    body = {"reason": "The shoes never came"}
    dispute = (await payer.post(f"/v1/transfers/{disputed['id']}/disputes", body)).json()
    await payee.post(f"/v1/disputes/{dispute['id']}/statements", {"text": "They were sent on Monday, parcel 4711"})
    reviewed = await in_review(payer, payee, REVIEWED)
    letter = await died(stack, "transfer.completed")
    other = await register(http, full_name="Lou Bel")
    stuck = await stuck_transfer(stack, admin, payer, other, until_then)
    held = await held_batch(payer, payee)
    await register(http, full_name="Mia Tan", identity_document={"type": "NIN", "number": REVIEW_NUMBER})
    await tier_asked(other)
    await role_asked(stack, http, other)
    return Trouble(payer, payee, reviewed, disputed["id"], stuck, letter, held)


async def held_batch(payer: Person, payee: Person) -> str:
    """A batch that waits for staff: it is posted as a whole, and one of its payments needs a person."""
    item = transfer_body(payer, payee, REVIEWED) | {"reference": f"car-{secrets.token_hex(4)}"}
    answer = await payer.post("/v1/batches", {"mode": "atomic", "items": [item]})
    assert answer.status_code == 202, answer.text
    batch_id = str(answer.json()["id"])

    async def is_held() -> bool:
        return bool((await payer.get(f"/v1/batches/{batch_id}")).json()["state"] == "held")

    await until(is_held, "the batch waits for staff")
    return batch_id


async def tier_asked(person: Person) -> str:
    """A request for tier 2 that the verifier leaves to a person."""
    body = {"tier": 2, "document": {"type": "BVN", "number": REVIEW_NUMBER}}
    answer = await person.post(f"/v1/accounts/{person.account_id}/tier-requests", body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def role_asked(stack: Running, http: httpx.AsyncClient, person: Person, role: Role = Role.OPERATOR) -> None:
    """A role that an admin has requested for this person, whose address another one vouches for."""
    first, other = [await of_staff(stack, http, Role.ADMIN, "Ama Sey") for _ in range(2)]
    path = f"/v1/admin/customers/{person.id}"
    code = (await other.post(f"{path}/email-verification", {"reason": "Has called"})).json()["code"]
    assert (await person.post("/v1/auth/email-verification", {"code": code})).is_success
    answer = await first.post(f"{path}/role", {"role": role, "reason": "Joins the team"})
    assert answer.status_code == 202, answer.text


HAS_RUN = """
    INSERT INTO sinks (name, kind, position) SELECT 'rabbitmq', 'publisher', last FROM event_head ON CONFLICT DO NOTHING
"""


async def died(stack: Running, of_type: str) -> str:
    """An event that a sink did not take."""
    letter = Undelivered(
        source="rabbitmq",
        target=None,
        event_id=f"evt_{secrets.token_hex(16)}",
        type=of_type,
        reason=f"no queue of wallet.events takes {of_type}",
        body={"specversion": "1.0", "type": of_type, "data": {"amount": 12_000_00}},
    )
    async with (
        Database(stack.database_url, connections=1, role=WORKER_ROLE) as database,
        database.transaction() as held,
    ):
        await held.execute(HAS_RUN)
        found = await bury(held, letter)
    assert found is not None
    return found


async def stuck_transfer(
    stack: Running, staff: Person, payer: Person, payee: Person, until_then: AsyncExitStack
) -> str:
    """A transfer in transit whose credit has no answer, because somebody else holds the payee's row."""
    await until_then.enter_async_context(account_held(stack.database_url, payee.account_id))
    transfer_id = str((await payer.pay(payee, 7_00, prefer="wait=0", note="Lunch")).json()["id"])

    async def is_marked() -> bool:
        answer = await staff.get("/v1/admin/transfers", needs_attention="true", limit=50)
        assert answer.status_code == 200, answer.text
        found = answer.json()["items"]
        return transfer_id in [each["id"] for each in found]

    await until(is_marked, "the transfer needs attention", seconds=60)
    return transfer_id
