"""What load balancers and metrics collectors ask."""

import asyncio

import structlog
from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from api.http.metrics import read_gauges
from api.http.problems import Problem, problem_responses
from api.services import Remit
from api.temporal import TemporalUnavailable
from database.connections import NoSchema, Unavailable

router = APIRouter(tags=["health"])
log = structlog.get_logger()


@router.head("/health", include_in_schema=False)
@router.get("/health", summary="Is the process alive")
async def health() -> dict[str, str]:
    """Says nothing of what it depends on: restarting this process would not mend that."""
    return {"status": "ok"}


@router.head("/ready", include_in_schema=False)
@router.get(
    "/ready",
    summary="Can transfers be accepted",
    responses=problem_responses("database_unavailable", "temporal_unavailable"),
)
async def ready(remit: Remit) -> dict[str, str]:
    """PostgreSQL answers with its schema, and Temporal serves."""
    database, temporal = await asyncio.gather(remit.database.ping(), remit.temporal.ping(), return_exceptions=True)
    # Why is for the log: it may name hosts.
    if isinstance(database, Unavailable):
        log.warning("PostgreSQL is away", why=str(database))
        raise Problem("database_unavailable", str(database) if isinstance(database, NoSchema) else None)
    if isinstance(temporal, TemporalUnavailable):
        log.warning("Temporal is away", why=str(temporal))
        raise Problem("temporal_unavailable")
    for unforeseen in (database, temporal):
        if unforeseen is not None:
            raise unforeseen
    return {"status": "ready", "postgres": "ok", "temporal": "ok"}


@router.get("/metrics", summary="Prometheus metrics", include_in_schema=False)
async def metrics(remit: Remit) -> Response:
    """Text exposition format: counts of this process since its start, and gauges over all transfers."""
    await read_gauges(remit.stats, remit.attention)
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
