"""What a process does beside requests and steps: it keeps registrations, totals and documents as they must be."""

import asyncio
from contextlib import suppress
from typing import NoReturn

import structlog
from temporalio.service import RPCError

from api.temporal import TemporalGateway
from database.connections import Database, Unavailable
from key_rings import encryption_from
from ledger.postgres.proof.running_totals import settle_totals
from ledger.postgres.proof.snapshots import take_due_snapshots
from onboarding.postgres import Onboarding
from settings import Settings
from sweep_schedules import sweeps_from
from workflows.registration import register_missing

log = structlog.get_logger()

# How often a process checks what Temporal has registered, if nothing gives it a reason to.
REGISTRATION_SECONDS = 30

# How often a worker counts what has settled into the running totals.
SETTLE_EVERY_SECONDS = 60


async def keep_registered(temporal: TemporalGateway, settings: Settings) -> NoReturn:
    """Register again whatever Temporal lacks of what `remit migrate` registers: it may have come back empty."""
    await temporal.connected.wait()
    while True:
        temporal.registration_doubted.clear()
        try:
            assert temporal.client is not None
            if lacked := await register_missing(temporal.client, settings.task_queue, sweeps_from(settings)):
                log.warning("Temporal lacked what `remit migrate` registers: registered again", lacked=lacked)
        except (RPCError, RuntimeError) as error:
            log.debug("it is not known what Temporal lacks", error=str(error))
            await asyncio.sleep(1)
        with suppress(TimeoutError):
            async with asyncio.timeout(REGISTRATION_SECONDS):
                await temporal.registration_doubted.wait()


async def keep_totals(database: Database) -> NoReturn:
    """Keep the running totals near the present. Only one process counts at a time, and none has to."""
    while True:
        try:
            await settle_totals(database)
            await take_due_snapshots(database)
        except Unavailable as error:
            log.warning("the running totals were not brought up to date", error=" ".join(str(error).split()))
        await asyncio.sleep(SETTLE_EVERY_SECONDS)


async def encrypt_plain_numbers(database: Database, settings: Settings) -> None:
    """Encrypt the numbers of documents that were written before numbers were encrypted; mostly there are none."""
    while True:
        try:
            written = await Onboarding(database, encryption_from(settings)).encrypt_anew(plain_only=True)
        except Unavailable:
            await asyncio.sleep(SETTLE_EVERY_SECONDS)
        else:
            if written:
                log.info("numbers of documents were encrypted", documents=written)
            return
