"""Histories that only staff can read: nothing that people wrote is in Temporal in the clear."""

import base64
import secrets
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from google.protobuf.json_format import MessageToDict
from temporalio.client import Client

from database.connections import Database
from database.encryption import Encryption, EncryptionKeyMissing
from devenv.servers.temporal_server import TemporalServer
from settings import Settings
from staff.permissions import Role
from tests.api.people import Person, register, running_api
from tests.orders import FINGERPRINT_KEY, promoted
from workflows.codec import EncryptingCodec, converter_with
from workflows.payloads import DATA_CONVERTER

OLD, NEW = "o" * 32, "n" * 32
NOTE = "Rent for Ngozi"


@pytest.fixture
def settings(database_url: str, temporal: TemporalServer) -> Settings:
    return Settings.model_validate(
        {
            "database_url": database_url,
            "temporal_address": temporal.address,
            "jwt_secret": secrets.token_hex(32),
            "fingerprint_keys": FINGERPRINT_KEY,
            "history_keys": OLD,
            "sandbox_rails": True,
            "task_queue": f"test-{secrets.token_hex(6)}",
        }
    )


@pytest.fixture
async def http(settings: Settings, database: Database) -> AsyncIterator[httpx.AsyncClient]:
    async with running_api(settings, database) as http:
        yield http


async def history_of(client: Client, workflow_id: str) -> tuple[bytes, list[Any]]:
    """A history as Temporal keeps it, and the payloads in it as a codec endpoint is sent them."""
    history = await client.get_workflow_handle(workflow_id).fetch_history()
    raw = b"".join(event.SerializeToString() for event in history.events)
    found: list[Any] = []

    def collect(value: Any) -> None:
        if isinstance(value, dict):
            if "encoding" in value.get("metadata", {}):
                found.append(value)
            for each in value.values():
                collect(each)
        elif isinstance(value, list):
            for each in value:
                collect(each)

    for event in history.events:
        collect(MessageToDict(event))
    return raw, found


async def test_a_history_holds_no_note_in_the_clear_and_shows_it_to_staff_only(
    http: httpx.AsyncClient, database: Database, client: Client
) -> None:
    ada, ben = await register(http), await register(http, full_name="Ben Sow")
    operator = await register(http, full_name="Omar Diop")
    await promoted(database, operator.id, Role.OPERATOR)
    await ada.deposit(10_000)
    paid = (await ada.pay(ben, 700, note=NOTE)).json()
    assert paid["state"] == "completed"

    raw, payloads = await history_of(client, paid["workflow_id"])
    assert NOTE.encode() not in raw
    assert ada.account_id.encode() in raw, "search attributes stay readable"
    encrypted = [each for each in payloads if base64.b64decode(each["metadata"]["encoding"]) == b"binary/encrypted"]
    assert encrypted

    async def decoded(person: Person) -> httpx.Response:
        return await person.post("/v1/admin/codec/decode", {"payloads": encrypted})

    shown = (await decoded(operator)).json()["payloads"]
    assert any(NOTE.encode() in base64.b64decode(each["data"]) for each in shown)
    assert len(shown) == len(encrypted)
    assert (await decoded(ada)).status_code == 403

    changed = encrypted[0] | {"data": base64.b64encode(b"12345678" + b"x" * 40).decode()}
    refused = await operator.post("/v1/admin/codec/decode", {"payloads": [changed]})
    assert (refused.status_code, refused.json()["code"]) == (422, "payload_not_decryptable")


async def test_staff_encrypt_what_they_type_and_may_also_leave_it_plain(
    http: httpx.AsyncClient, database: Database
) -> None:
    operator = await register(http, full_name="Omar Diop")
    await promoted(database, operator.id, Role.OPERATOR)
    typed = {
        "metadata": {"encoding": base64.b64encode(b"json/plain").decode()},
        "data": base64.b64encode(b"1").decode(),
    }
    encoded = (await operator.post("/v1/admin/codec/encode", {"payloads": [typed]})).json()["payloads"]
    assert encoded != [typed]
    both = await operator.post("/v1/admin/codec/decode", {"payloads": [*encoded, typed]})
    assert both.json()["payloads"] == [typed, typed]


async def test_a_former_key_still_decrypts_and_a_missing_one_is_named() -> None:
    old, rotated, new = (converter_with(EncryptingCodec(Encryption(keys))) for keys in ([OLD], [NEW, OLD], [NEW]))
    kept = await old.encode([NOTE])
    assert await rotated.decode(kept) == [NOTE]
    assert await rotated.decode(await DATA_CONVERTER.encode([NOTE])) == [NOTE]
    with pytest.raises(EncryptionKeyMissing):
        await new.decode(kept)
