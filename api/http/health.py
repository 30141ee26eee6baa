"""Liveness and readiness for load balancers, and metrics for collectors."""

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
@router.get("/health", summary="Check that the process is alive")
async def health() -> dict[str, str]:
    """Does not check PostgreSQL and Temporal: restarting this process would not repair them."""
    return {"status": "ok"}


@router.head("/ready", include_in_schema=False)
@router.get(
    "/ready",
    summary="Check that transfers can be accepted",
    responses=problem_responses("database_unavailable", "temporal_unavailable"),
)
async def ready(remit: Remit) -> dict[str, str]:
    """PostgreSQL answers and has its schema, and Temporal serves."""
    database, temporal = await asyncio.gather(remit.database.ping(), remit.temporal.ping(), return_exceptions=True)
    # The reason may name hosts: it goes to the log, not to the client.
    if isinstance(database, Unavailable):
        log.warning("PostgreSQL does not answer", error=str(database))
        raise Problem("database_unavailable", str(database) if isinstance(database, NoSchema) else None)
    if isinstance(temporal, TemporalUnavailable):
        log.warning("Temporal does not answer", error=str(temporal))
        raise Problem("temporal_unavailable")
    for defect in (database, temporal):
        if defect is not None:
            raise defect
    return {"status": "ready", "postgres": "ok", "temporal": "ok"}


@router.get("/metrics", summary="Prometheus metrics", include_in_schema=False)
async def metrics(remit: Remit) -> Response:
    """Prometheus text format: counters of this process since its start, and gauges over all transfers."""
    await read_gauges(remit.stats, remit.attention)
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
