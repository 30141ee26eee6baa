"""Liveness and readiness for load balancers, and metrics for collectors."""

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from api.http.problems import problem_responses
from api.http.route import CheckedRoute
from api.services import Remit

router = APIRouter(tags=["health"], route_class=CheckedRoute)
metrics_router = APIRouter(route_class=CheckedRoute)


@router.get("/health", operation_id="health.live", summary="Check that the process is alive")
async def health() -> dict[str, str]:
    """Does not check PostgreSQL and Temporal: restarting this process would not repair them."""
    return {"status": "ok"}


@router.get(
    "/ready",
    operation_id="health.ready",
    summary="Check that transfers can be accepted",
    responses=problem_responses("disk_full", "database_unavailable", "temporal_unavailable"),
)
async def ready(remit: Remit) -> dict[str, str]:
    """PostgreSQL answers, has its schema and can write, and Temporal serves; both by an answer of the last second."""
    await remit.readiness.check()
    return {"status": "ready", "postgres": "ok", "temporal": "ok"}


@metrics_router.get("/metrics", summary="Prometheus metrics", include_in_schema=False)
async def metrics(remit: Remit) -> Response:
    """Prometheus text format: counters of this process since its start, and gauges over all transfers."""
    await remit.gauges.read()
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
