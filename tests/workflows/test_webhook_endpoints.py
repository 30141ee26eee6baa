"""Webhook endpoints beside transfers: how many are sent to at once, and that money does not wait for them."""

import asyncio
from datetime import timedelta

import pytest
from pydantic import SecretStr
from temporalio.client import Client

import event_tasks
from activities.webhooks.wakes import Wakes, wake_workflow
from event_tasks import build_delivery_worker
from ledger.transfers import State
from tests.orders import ENCRYPTION_KEY, Holder, order
from tests.waiting import until
from tests.webhooks.scene import Scene
from tests.workflows.sagas import UnreliableBook, sagas

TASK_TIMEOUT = timedelta(seconds=3)


async def test_endpoints_that_never_answer_take_no_slot_from_transfers(
    client: Client, book: UnreliableBook, alice: Holder, bob: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_tasks, "ENDPOINTS_AT_ONCE", 2)
    scene, opened, is_over = Scene(book.database), [0], asyncio.Event()

    async def hang(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened[0] += 1
        await is_over.wait()
        writer.close()

    async def are_open() -> bool:
        return opened[0] == 2

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    keys = SecretStr(ENCRYPTION_KEY)
    async with sagas(client, book, encryption_keys=keys, webhook_allow="127.0.0.1") as saga:
        wakes = Wakes(scene.outgoing, TASK_TIMEOUT)
        async with build_delivery_worker(client, saga.settings, scene.outgoing, wakes):
            endpoints = [await scene.made(url) for _ in range(3)]
            await scene.emit("acc_1")
            for endpoint in endpoints:
                await wake_workflow(client, saga.settings.task_queue, endpoint.id, TASK_TIMEOUT)
            await until(are_open, "two endpoints are sent to")
            standing = await saga.run(order(alice.id, alice.account_id, bob.account_id, 100))
            assert (standing.state, opened, wakes.listeners) == (State.COMPLETED, [2], 2)
            is_over.set()
            for endpoint in endpoints:
                await scene.endpoints.delete(None, endpoint.id)
    server.close()
