"""Who may call what: every route, asked by everybody, with the answer that each of them gets.

A route that is missing here fails the test: whoever adds one says who may call it.
"""

import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from customers.api_keys.api_key import Scope
from customers.documents.sandbox import REVIEW_NUMBER
from tests.api.people import PASSWORD, Person, register, registration, transfer_body
from tests.waiting import until

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"

REASON = {"reason": "Asked for by the bank, ticket 4711"}
RAIL = {"account_id": "{account}", "amount": 100, "currency": "USD", "transaction_id": "bank-1"}
TRANSFER = {"source_account_id": "{account}", "destination_account_id": "{payee}", "amount": 100, "currency": "USD"}

# The sandbox's verifier leaves it to a person.
TIER = {"tier": 2, "document": {"type": "BVN", "number": REVIEW_NUMBER}}

MAILS = {"transfers": True, "disputes": True, "accounts": True, "identity": False}

# The last two are the owner's API keys: one with the scope that the route needs and no other, and one with all others.
CALLERS = ("anonymous", "other", "owner", "operator", "admin", "key", "other key")


@dataclass(frozen=True)
class Call:
    """A request, and the status that each of CALLERS gets, in their order. They ask one after the other."""

    statuses: str
    body: dict[str, Any] | None = None
    scope: Scope | frozenset[Scope] | None = None


OPEN = "200 200 200 200 200 200 200"
SIGNED_IN = "401 200 200 200 200 403 403"
OWNER = "401 404 200 404 404 403 403"
OWNER_OR_STAFF = "401 404 200 200 200 403 403"
STAFF = "401 403 403 200 200 403 403"
SENDS = frozenset({Scope.WEBHOOKS_WRITE, Scope.EVENTS_READ})
KEYED = "401 200 200 200 200 200 403"
OWNER_KEYED = "401 404 200 404 404 200 403"
OWNER_OR_STAFF_KEYED = "401 404 200 200 200 200 403"
ADMINS = "401 403 403 403 200 403 403"
# The endpoint is a customer's.
NOT_THE_PLATFORMS = "401 403 403 403 404 403 403"
WEBHOOK = {"url": "https://shop.example.com/remit", "types": ["transfer.completed"]}
STANDING_ORDER = {
    "source_account_id": "{account}",
    "destination_account_id": "{payee}",
    "currency": "USD",
    "amount": 100,
    "recurrence": {"frequency": "monthly", "first_date": "2099-01-31"},
}
SINCE = {"since": "2026-01-01T00:00:00Z"}

# What comes first may change what the later ones meet: an account is frozen, then unfrozen.
CALLS = {
    # Everybody
    "health.live": Call(OPEN),
    "health.ready": Call(OPEN),
    "problems.get": Call(OPEN),
    "currencies.list": Call(OPEN),
    "auth.register": Call("201 201 201 201 201 201 201", {"each": "registers somebody else"}),
    "auth.login": Call(OPEN, {"email": "{email}", "password": PASSWORD}),
    "auth.refresh": Call("401 401 401 401 401 429 429", {"refresh_token": "forged"}),
    "auth.browser.login": Call(OPEN, {"email": "{email}", "password": PASSWORD}),
    "auth.browser.refresh": Call("401 401 401 401 401 401 401"),
    "auth.browser.session": Call("401 401 401 401 401 401 401"),
    "auth.browser.logout": Call("204 204 204 204 204 204 204"),
    "auth.request_password_reset": Call("403 403 403 403 403 403 403", {"email": "{email}"}),
    "auth.reset_password": Call("422 422 422 422 422 422 422", {"reset_code": "forged", "new_password": PASSWORD}),
    # Whoever is signed in, for themselves
    "auth.me": Call("401 200 200 200 200 200 200"),
    "auth.verify_email": Call("401 422 422 422 422 403 403", {"code": "00000000"}),
    "auth.sessions.list": Call(SIGNED_IN),
    "auth.api_keys.list": Call(SIGNED_IN),
    "auth.api_keys.create": Call(
        "401 201 201 201 201 403 403", {"name": "A shop", "scopes": ["transfers:read"], "password": PASSWORD}
    ),
    "auth.api_keys.revoke": Call("401 404 204 404 404 403 403"),
    "auth.sessions.end": Call("401 404 204 404 404 403 403"),
    "auth.second_factor.begin": Call("401 403 403 403 403 403 403", {"password": "wrong one"}),
    "auth.second_factor.confirm": Call("401 409 409 409 409 403 403", {"second_factor": "123456"}),
    "auth.second_factor.replace_recovery_codes": Call("401 401 401 401 401 403 403", {"second_factor": "123456"}),
    "auth.second_factor.remove": Call("401 401 401 401 401 403 403", {"second_factor": "123456"}),
    "auth.change_password": Call(
        "401 403 403 403 403 403 403", {"current_password": "wrong one", "new_password": PASSWORD}
    ),
    "accounts.list": Call(KEYED, scope=Scope.ACCOUNTS_READ),
    "accounts.create": Call("401 201 201 201 201 409 403", {"currency": "EUR"}, scope=Scope.ACCOUNTS_WRITE),
    "auth.request_email_verification": Call("401 403 403 403 403 403 403"),
    "documents.list": Call(SIGNED_IN),
    "documents.send": Call("401 409 409 409 409 403 403", {"type": "BVN", "number": "22334455667"}),
    "transfers.list": Call(KEYED, scope=Scope.TRANSFERS_READ),
    "disputes.list": Call(KEYED, scope=Scope.DISPUTES_READ),
    "events.list": Call(KEYED, scope=Scope.EVENTS_READ),
    "payees.get": Call("401 404 404 404 404 404 403", scope=Scope.TRANSFERS_WRITE),
    "notifications.list": Call(KEYED, scope=Scope.NOTIFICATIONS_READ),
    "notifications.read": Call(OWNER_KEYED, {"through": "{notification_id}"}, scope=Scope.NOTIFICATIONS_WRITE),
    "notifications.get_settings": Call(KEYED, scope=Scope.NOTIFICATIONS_READ),
    "notifications.set_settings": Call(KEYED, {"email": MAILS}, scope=Scope.NOTIFICATIONS_WRITE),
    # By HEAD, as it has no end.
    "events.stream": Call(KEYED, scope=Scope.EVENTS_READ),
    # Each part has the scope of its route: without it, the answer holds an error.
    "graphql.execute": Call("401 200 200 200 200 200 200", {"query": "{{ getNotifications {{ unread }} }}"}),
    # Whose it is
    "notifications.get": Call(OWNER_KEYED, scope=Scope.NOTIFICATIONS_READ),
    "accounts.get": Call(OWNER_KEYED, scope=Scope.ACCOUNTS_READ),
    "accounts.rename": Call(OWNER_KEYED, {"name": "Rent"}, scope=Scope.ACCOUNTS_WRITE),
    "accounts.entries": Call(OWNER_KEYED, scope=Scope.ACCOUNTS_READ),
    "accounts.balance": Call(OWNER_KEYED, scope=Scope.ACCOUNTS_READ),
    "accounts.stats": Call(OWNER_KEYED, scope=Scope.ACCOUNTS_READ),
    "accounts.events": Call(OWNER_KEYED, scope=Scope.EVENTS_READ),
    "statements.create": Call(
        "401 404 201 404 404 201 403", {"from": "2026-01-01", "to": "2999-12-31"}, scope=Scope.ACCOUNTS_WRITE
    ),
    # The reference is that of a batch which is completed: whoever may send one gets no further than that.
    "batches.create": Call(
        "401 422 422 422 422 422 403",
        {"items": [TRANSFER | {"reference": "salary-0"}]},
        scope=Scope.TRANSFERS_WRITE,
    ),
    "batches.list": Call(KEYED, scope=Scope.TRANSFERS_READ),
    "batches.get": Call(OWNER_KEYED, scope=Scope.TRANSFERS_READ),
    "batches.list_items": Call(OWNER_KEYED, scope=Scope.TRANSFERS_READ),
    "batches.cancel": Call("401 404 409 404 404 409 403", scope=Scope.TRANSFERS_WRITE),
    "admin.batches.list": Call(STAFF),
    "admin.batches.get": Call(STAFF),
    "admin.batches.list_items": Call(STAFF),
    "admin.batches.cancel": Call("401 403 403 409 409 403 403", REASON),
    "admin.batches.decide": Call("401 403 403 409 409 403 403", {"ruling": "approve"} | REASON),
    "statements.list": Call(OWNER_KEYED, scope=Scope.ACCOUNTS_READ),
    "statements.get": Call(OWNER_KEYED, scope=Scope.ACCOUNTS_READ),
    **{
        f"statements.{format_}": Call(OWNER_KEYED, scope=Scope.ACCOUNTS_READ)
        for format_ in ("csv", "json", "pdf", "xml")
    },
    "accounts.limits": Call(OWNER_KEYED, scope=Scope.ACCOUNTS_READ),
    "accounts.deposit": Call(
        "401 404 201 404 404 201 403", {"amount": 5_000, "currency": "USD"}, scope=Scope.TRANSFERS_WRITE
    ),
    "accounts.withdraw": Call(
        "401 404 201 404 404 201 403", {"amount": 100, "currency": "USD"}, scope=Scope.TRANSFERS_WRITE
    ),
    "transfers.create": Call("401 404 201 404 404 201 403", TRANSFER, scope=Scope.TRANSFERS_WRITE),
    "transfers.get": Call(OWNER_KEYED, scope=Scope.TRANSFERS_READ),
    "transfers.receipt": Call(OWNER_KEYED, scope=Scope.TRANSFERS_READ),
    "transfers.attempts": Call(OWNER_KEYED, scope=Scope.TRANSFERS_READ),
    "transfers.status": Call(OWNER_KEYED, scope=Scope.TRANSFERS_READ),
    "transfers.reversals": Call(OWNER_OR_STAFF_KEYED, scope=Scope.TRANSFERS_READ),
    "transfers.cancel": Call("401 404 409 404 404 409 403", scope=Scope.TRANSFERS_WRITE),
    "transfers.retry": Call("401 404 409 404 404 409 403", scope=Scope.TRANSFERS_WRITE),
    "transfers.reverse": Call("401 404 403 403 201 403 403", {"amount": 1} | REASON, scope=Scope.TRANSFERS_WRITE),
    "disputes.create": Call("401 404 409 404 404 409 403", {"reason": "It was not me."}, scope=Scope.DISPUTES_WRITE),
    "disputes.get": Call(OWNER_OR_STAFF_KEYED, scope=Scope.DISPUTES_READ),
    "tiers.create_request": Call("401 404 409 404 404 403 403", TIER),
    "tiers.list_requests": Call(OWNER),
    "tiers.get_request": Call(OWNER),
    "disputes.add_statement": Call(
        "401 404 201 404 404 201 403", {"text": "I was asleep."}, scope=Scope.DISPUTES_WRITE
    ),
    "standing_orders.create": Call("401 404 201 404 404 201 403", STANDING_ORDER, scope=Scope.STANDING_ORDERS_WRITE),
    "standing_orders.list": Call(KEYED, scope=Scope.STANDING_ORDERS_READ),
    "standing_orders.get": Call(OWNER_KEYED, scope=Scope.STANDING_ORDERS_READ),
    "standing_orders.occurrences": Call(OWNER_KEYED, scope=Scope.STANDING_ORDERS_READ),
    "standing_orders.change": Call(OWNER_KEYED, {"amount": 200}, scope=Scope.STANDING_ORDERS_WRITE),
    "standing_orders.skip": Call(OWNER_KEYED, {}, scope=Scope.STANDING_ORDERS_WRITE),
    "standing_orders.pause": Call(OWNER_KEYED, scope=Scope.STANDING_ORDERS_WRITE),
    "standing_orders.resume": Call(OWNER_KEYED, scope=Scope.STANDING_ORDERS_WRITE),
    "webhooks.create": Call("401 201 201 201 201 201 403", WEBHOOK, scope=SENDS),
    "webhooks.list": Call(KEYED, scope=Scope.WEBHOOKS_READ),
    "webhooks.get": Call(OWNER_KEYED, scope=Scope.WEBHOOKS_READ),
    "webhooks.change": Call(OWNER_KEYED, {"types": []}, scope=SENDS),
    "webhooks.rotate_secret": Call(OWNER_KEYED, scope=Scope.WEBHOOKS_WRITE),
    "webhooks.test": Call("401 404 202 404 404 202 403", scope=Scope.WEBHOOKS_WRITE),
    "webhooks.deliveries": Call(OWNER_KEYED, scope=Scope.WEBHOOKS_READ),
    "webhooks.replay": Call("401 404 202 404 404 202 403", SINCE, scope=SENDS),
    "webhooks.delete": Call("401 404 204 404 404 404 403", scope=Scope.WEBHOOKS_WRITE),
    # Staff
    "admin.customers.list": Call(STAFF),
    "admin.customers.search": Call(STAFF, {"email": "{email}"}),
    "admin.customers.get": Call(STAFF),
    "admin.accounts.get": Call(STAFF),
    "admin.accounts.entries": Call(STAFF),
    "admin.accounts.limits": Call(STAFF),
    "admin.statements.list": Call(STAFF),
    "admin.statements.get": Call(STAFF),
    **{f"admin.statements.{format_}": Call(STAFF) for format_ in ("csv", "json", "pdf", "xml")},
    "admin.accounts.stats": Call(STAFF),
    "admin.accounts.freeze": Call("401 403 403 200 409 403 403", REASON),
    "admin.accounts.unfreeze": Call("401 403 403 200 409 403 403", REASON),
    "admin.transfers.list": Call(STAFF),
    "admin.transfers.get": Call(STAFF),
    "admin.transfers.get_pending_step": Call(STAFF),
    "admin.recovery.get": Call(STAFF),
    "admin.reviews.list": Call(STAFF),
    "admin.transfers.cancel": Call("401 403 403 409 409 403 403", REASON),
    "admin.transfers.retry": Call("401 403 403 409 409 403 403", REASON),
    "admin.transfers.retry_now": Call("401 403 403 409 409 403 403", REASON),
    "admin.transfers.give_back": Call("401 403 403 409 409 403 403", REASON),
    "admin.transfers.decide": Call("401 403 403 409 409 403 403", {"ruling": "approve"} | REASON),
    "admin.fundings.create": Call(
        "401 403 403 201 201 403 403", {"account_id": "{account}", "amount": 100, "currency": "USD"} | REASON
    ),
    "rails.deposit": Call("401 403 403 403 403 201 403", RAIL, scope=Scope.RAILS_WRITE),
    "rails.withdraw": Call("401 403 403 403 403 201 403", RAIL | {"transaction_id": "bank-2"}, scope=Scope.RAILS_WRITE),
    "admin.reviews.decide": Call(STAFF, {"transfer_ids": ["{transfer}"], "ruling": "approve"} | REASON),
    "admin.disputes.list": Call(STAFF),
    "admin.tiers.list_requests": Call(STAFF),
    "admin.tiers.get_request": Call(STAFF),
    "admin.tiers.decide_request": Call("401 403 403 200 409 403 403", {"ruling": "approve"} | REASON),
    "admin.disputes.hold": Call(STAFF, REASON),
    "admin.disputes.release": Call(STAFF, REASON),
    "admin.disputes.decide": Call("401 403 403 200 409 403 403", {"ruling": "reject"} | REASON),
    "admin.codec.decode": Call(STAFF, {"payloads": []}),
    "admin.codec.encode": Call(STAFF, {"payloads": []}),
    "admin.rules.get": Call(STAFF),
    "admin.rules.changes": Call(STAFF),
    "admin.rules.set": Call("401 403 403 403 202 403 403", {"rules": None} | REASON),
    "admin.rule_sets.get": Call("401 403 403 404 404 403 403"),
    "admin.transfers.verdicts": Call(STAFF),
    "admin.lists.list": Call(STAFF),
    "admin.lists.members": Call(STAFF),
    "admin.lists.add": Call(STAFF, {"member_id": "{account}"} | REASON),
    "admin.lists.remove": Call("401 403 403 200 404 403 403", REASON),
    "admin.dead_letters.list": Call(STAFF),
    "admin.dead_letters.get": Call("401 403 403 404 404 403 403"),
    "admin.dead_letters.replay": Call("401 403 403 404 404 403 403", REASON),
    "admin.dead_letters.discard": Call("401 403 403 404 404 403 403", REASON),
    "admin.dead_letters.replay_all": Call(STAFF, REASON),
    "admin.cases.list": Call(STAFF),
    "admin.cases.get": Call("401 403 403 404 404 403 403"),
    "admin.cases.close": Call("401 403 403 404 404 403 403", REASON),
    "admin.documents.list": Call(STAFF),
    "admin.documents.decide": Call(STAFF, {"decision": "verify"} | REASON),
    "admin.books.get": Call(STAFF),
    "admin.stats.get": Call(STAFF),
    "admin.sinks.list": Call(STAFF),
    "admin.projections.list": Call(STAFF),
    "admin.projections.get": Call(STAFF),
    "admin.sinks.retire": Call("401 403 403 403 409 403 403", REASON),
    "admin.projections.rebuild": Call("401 403 403 403 202 403 403", REASON),
    "admin.rebuilds.create": Call("401 403 403 403 202 403 403", {"account_id": "{payee}"} | REASON),
    "admin.rebuilds.list": Call(STAFF),
    "admin.rebuilds.get": Call("401 403 403 404 404 403 403"),
    "admin.rebuilds.findings": Call("401 403 403 404 404 403 403"),
    "admin.actions.list": Call(STAFF),
    "admin.audit_records.list": Call(STAFF),
    "admin.events.list": Call(STAFF),
    # Admins
    "admin.standing_orders.list": Call(STAFF),
    "admin.standing_orders.get": Call(STAFF),
    "admin.standing_orders.occurrences": Call(STAFF),
    "admin.standing_orders.pause": Call(STAFF, REASON),
    "admin.standing_orders.resume": Call(STAFF, REASON),
    "admin.standing_orders.cancel": Call(STAFF, REASON),
    "standing_orders.cancel": Call(OWNER_KEYED, scope=Scope.STANDING_ORDERS_WRITE),
    "admin.webhooks.create": Call("401 403 403 403 201 403 403", WEBHOOK),
    "admin.webhooks.list": Call(ADMINS),
    "admin.webhooks.get": Call(NOT_THE_PLATFORMS),
    "admin.webhooks.change": Call(NOT_THE_PLATFORMS, {"types": []}),
    "admin.webhooks.rotate_secret": Call(NOT_THE_PLATFORMS),
    "admin.webhooks.test": Call(NOT_THE_PLATFORMS),
    "admin.webhooks.deliveries": Call(NOT_THE_PLATFORMS),
    "admin.webhooks.replay": Call(NOT_THE_PLATFORMS, SINCE),
    "admin.webhooks.delete": Call(NOT_THE_PLATFORMS),
    "admin.request_records.list": Call(ADMINS),
    "admin.customers.issue_email_code": Call("401 403 403 403 201 403 403", REASON),
    "admin.role_requests.list": Call(STAFF),
    "admin.role_requests.reject": Call("401 403 403 403 404 403 403", REASON),
    "admin.customers.set_role": Call(ADMINS, {"role": "customer"} | REASON),
    "admin.accounts.set_tier": Call(ADMINS, {"tier": 2} | REASON),
    "admin.accounts.rebuild": Call(ADMINS, REASON),
    "admin.accounts.close": Call("401 403 403 403 409 403 403", REASON),
    "admin.books.audit": Call(ADMINS, REASON),
    "admin.books.get_audit": Call(STAFF),
    "admin.auth_events.list": Call(ADMINS),
    # Whoever is signed in, at the end. No key works while its owner is disabled.
    "admin.customers.disable": Call("401 403 403 200 200 401 401", REASON),
    "admin.customers.enable": Call("401 403 401 200 200 403 403", REASON),
    "admin.customers.remove_second_factor": Call("401 403 401 403 200 403 403", REASON),
    "auth.logout": Call("401 204 401 204 204 403 403"),
    "auth.sessions.end_all": Call("401 401 401 401 401 403 403"),
}


@pytest.fixture(scope="module")
def routes() -> dict[str, tuple[str, str]]:
    """The method and path of each operation, from the committed document, which is today's."""
    paths = json.loads(DOCUMENT.read_text())["paths"]
    return {
        operation["operationId"]: (method.upper(), path)
        for path, methods in paths.items()
        for method, operation in methods.items()
        if method != "parameters"
    }


def test_every_route_says_who_may_call_it(routes: dict[str, tuple[str, str]]) -> None:
    assert routes.keys() == CALLS.keys()


async def keys_for(scope: Scope | frozenset[Scope] | None, person: Person) -> dict[str, str]:
    """This person's key with this scope alone, and with all others. Without a scope, both have all."""
    needed = {scope} if isinstance(scope, Scope) else set(scope or ())
    every = {one for one in Scope if one is not Scope.RAILS_WRITE or one in needed}
    made = {}
    for name, scopes in (("key", needed or every), ("other key", every - needed)):
        answer = await person.post("/v1/auth/api-keys", {"name": name, "scopes": sorted(scopes), "password": PASSWORD})
        assert answer.status_code == 201, answer.text
        made[name] = answer.json()["key"]
    return made


def filled_with(value: Any, **known: str) -> Any:
    if isinstance(value, dict):
        return {name: filled_with(each, **known) for name, each in value.items()}
    if isinstance(value, list):
        return [filled_with(each, **known) for each in value]
    return value.format(**known) if isinstance(value, str) else value


async def a_completed_batch(payer: Person, payee: Person) -> str:
    item = transfer_body(payer, payee, 1) | {"reference": "salary-0"}
    path = (await payer.post("/v1/batches", {"items": [item]})).headers["Location"]

    async def is_completed() -> bool:
        return bool((await payer.get(path)).json()["state"] == "completed")

    await until(is_completed, "the batch is completed")
    return str(path.rpartition("/")[2])


async def test_everybody_gets_the_answer_that_is_theirs(
    routes: dict[str, tuple[str, str]], ada: Person, ben: Person, operator: Person, admin: Person
) -> None:
    eve = await register(ada.http, full_name="Eve Roe")
    waits = await register(ada.http, identity_document={"type": "NIN", "number": REVIEW_NUMBER})
    document = (await waits.get("/v1/customers/me/documents")).json()["items"][0]
    people = {"other": eve, "owner": ada, "operator": operator, "admin": admin}
    transfer = (await ada.pay(ben, 700)).json()
    dispute = await ada.post(f"/v1/transfers/{transfer['id']}/disputes", CALLS["disputes.create"].body)
    assert dispute.status_code == 201, dispute.text
    await ada.http.post("/v1/auth/login", json={"email": ada.email, "password": PASSWORD})
    key = await ada.post("/v1/auth/api-keys", {"name": "A shop", "scopes": ["transfers:read"], "password": PASSWORD})
    keys = {
        scope: await keys_for(scope, admin if scope is Scope.RAILS_WRITE else ada) for scope in (None, SENDS, *Scope)
    }
    asks = await ada.post(f"/v1/accounts/{ada.account_id}/tier-requests", TIER)
    batch = await a_completed_batch(ada, ben)
    assert asks.status_code == 201, asks.text
    endpoint = await ada.post("/v1/webhook-endpoints", WEBHOOK)
    assert endpoint.status_code == 201, endpoint.text
    standing = await ada.post(
        "/v1/standing-orders", filled_with(STANDING_ORDER, account=ada.account_id, payee=ben.account_id)
    )
    assert standing.status_code == 201, standing.text
    known = {
        "order_id": standing.json()["id"],
        "endpoint_id": endpoint.json()["id"],
        "request_id": asks.json()["id"],
        "account": ada.account_id,
        "account_id": ada.account_id,
        "payee": ben.account_id,
        "transfer": transfer["id"],
        "transfer_id": transfer["id"],
        "document_id": document["id"],
        "dispute_id": dispute.json()["id"],
        "customer_id": ada.id,
        "case_id": "cas_none",
        "letter_id": "dlt_none",
        "batch_id": batch,
        "rebuild_id": "rbd_none",
        "role_request_id": "act_none",
        "name": "account_stats",
        "rule_set_id": "rls_none",
        "list_name": "watched",
        "member_id": ada.account_id,
        "email": ada.email,
        "code": "forbidden",
        "number": "RM04404040404040",
        "api_key_id": key.json()["id"],
        "notification_id": (await ada.get("/v1/notifications")).json()["items"][0]["id"],
        "session_id": (await ada.get("/v1/auth/sessions")).json()["items"][0]["id"],
    }

    async def asked(operation: str, caller: str) -> int:
        method, path = routes[operation]
        path = path.replace("{number}", "1") if "statements." in operation else path
        method = "HEAD" if operation == "events.stream" else method
        token = people[caller].token if caller in people else keys[CALLS[operation].scope].get(caller)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        body = registration() if operation == "auth.register" else filled_with(CALLS[operation].body, **known)
        if method != "GET":
            headers["Idempotency-Key"] = secrets.token_hex(16)
        answer = await ada.http.request(method, path.format(**known), json=body, headers=headers)
        assert answer.status_code < 500, answer.text
        return answer.status_code

    answered = {operation: " ".join([str(await asked(operation, caller)) for caller in CALLERS]) for operation in CALLS}
    expected = {operation: call.statuses for operation, call in CALLS.items()}
    assert answered == expected
