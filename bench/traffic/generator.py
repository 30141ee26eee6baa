"""The load generator: a process of its own, so that its CPU is counted apart, and the same for every HTTP case."""

import json
from collections.abc import Callable
from contextlib import AsyncExitStack

from fastapi import FastAPI

from bench.traffic.http import Connections
from bench.traffic.jobs import Job, new_keys, serve_jobs
from bench.traffic.load import Send
from bench.traffic.population import AMOUNT_MINOR, CURRENCY, PASSWORD, Holder, pairs
from ledger.ids import transfer_id_for

HOST = "127.0.0.1"
TRANSFER = "POST transfer"
SIGN_IN = "POST sign-in"
READS: dict[str, Callable[[Holder], str]] = {
    "GET balance": lambda holder: f"/v1/accounts/{holder.account_id}",
    "GET entries": lambda holder: f"/v1/accounts/{holder.account_id}/entries",
    # The first deposit of the account: a transfer that exists.
    "GET transfer": lambda holder: f"/v1/transfers/{transfer_id_for(holder.customer_id, 'first')}",
}


def create_generator(holders: list[Holder], closing: AsyncExitStack) -> FastAPI:
    """The application that runs jobs. Its connections stay open between jobs; `closing` closes them."""
    app = FastAPI(openapi_url=None)
    connections: dict[int, Connections] = {}
    addresses = {holder.customer_id: f"10.0.{place // 256}.{place % 256}" for place, holder in enumerate(holders)}

    def sending(job: Job) -> Send:
        to = connections.setdefault(job.port, Connections(HOST, job.port))
        closing.callback(to.close)
        draw, key = pairs(job.choice, holders, job.load.seed), new_keys()

        async def post() -> str:
            source, destination = draw()
            return await to.ask(posted(source, destination, key()))

        async def sign_in() -> str:
            holder, _ = draw()
            return await to.ask(signed_in(holder, addresses[holder.customer_id]))

        async def get() -> str:
            holder, _ = draw()
            return await to.ask(got(holder, READS[job.way](holder)))

        return {TRANSFER: post, SIGN_IN: sign_in}.get(job.way, get)

    serve_jobs(app, sending)
    return app


def posted(source: Holder, destination: Holder, key: str) -> bytes:
    """A request for a transfer, as any client would write it."""
    body = json.dumps(
        {
            "source_account_id": source.account_id,
            "destination_account_id": destination.account_id,
            "amount": AMOUNT_MINOR,
            "currency": CURRENCY,
        }
    )
    return (
        f"POST /v1/transfers HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {source.token}\r\n"
        f"Idempotency-Key: {key}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def signed_in(holder: Holder, address: str) -> bytes:
    """A request that signs the customer in, through a proxy that names their address."""
    body = json.dumps({"email": holder.email, "password": PASSWORD})
    return (
        f"POST /v1/auth/login HTTP/1.1\r\nHost: {HOST}\r\nX-Forwarded-For: {address}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def got(holder: Holder, path: str) -> bytes:
    """A request that reads this path."""
    return f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {holder.token}\r\n\r\n".encode()
