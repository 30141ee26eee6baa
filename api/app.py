"""The HTTP application: its routes, problems and middleware over given services."""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from api.accounts import routes as accounts
from api.accounts import staff_routes as staff_accounts
from api.auth import password_routes as passwords
from api.auth import routes as auth
from api.auth import session_routes as sessions
from api.auth import staff_routes as staff_auth
from api.auth.api_keys import routes as api_keys
from api.auth.browser import routes as browser
from api.auth.second_factor import routes as second_factor
from api.batches import routes as batches
from api.batches import staff_routes as staff_batches
from api.books import routes as books
from api.contract import routes as contract
from api.contract.document import TITLE, openapi_document
from api.currencies import routes as currencies
from api.customers import routes as customers
from api.dead_letters import routes as dead_letters
from api.disputes import routes as disputes
from api.disputes import staff_routes as staff_disputes
from api.error_responses import handle_problems
from api.events import routes as events
from api.fundings import routes as fundings
from api.graphql import routes as graphql
from api.histories import routes as histories
from api.http import health
from api.http.exchange import Exchange
from api.http.middleware import BodyLimit, RequestRecords, allow_origins
from api.http.problems import problem_responses
from api.http.repeats import handle_repeats
from api.limits.by_client import RateLimited
from api.live import stream_routes as streams
from api.notifications import routes as notifications
from api.onboarding import routes as documents
from api.onboarding import staff_routes as staff_documents
from api.ownership.check import handle_withheld
from api.pages import routes as page_routes
from api.pages.built_pages import BuiltPages
from api.payees import routes as payees
from api.projections import routes as statuses
from api.projections import staff_routes as projections
from api.rails import routes as rails
from api.rebuilds import routes as rebuilds
from api.reviews import routes as reviews
from api.role_requests import routes as role_requests
from api.screening import case_routes as cases
from api.screening import rule_routes as screening_rules
from api.services import Services
from api.staff import routes as staff
from api.staff import temporal_routes as staff_temporal
from api.standing_orders import routes as standing_orders
from api.standing_orders import staff_routes as staff_standing_orders
from api.statements import routes as statements
from api.statements import staff_routes as staff_statements
from api.tiers import routes as tiers
from api.tiers import staff_routes as staff_tiers
from api.trail import routes as trail
from api.trail.recorder import RequestRecorder
from api.transfers import intervention_routes as interventions
from api.transfers import reversal_routes as reversals
from api.transfers import routes as transfers
from api.transfers import staff_routes as staff_transfers
from api.webhooks import routes as webhooks
from api.webhooks import staff_routes as staff_webhooks


def create_app(
    services: Services,
    *,
    docs: bool,
    proxies: Sequence[str] = (),
    metrics: bool = True,
    origins: Sequence[str] = (),
    pages: BuiltPages | None = None,
) -> FastAPI:
    """The application over these services. The caller opens and closes their connections.

    `proxies` are the addresses and networks whose `X-Forwarded-For` says where a request comes from. `metrics`: serve
    them here, and not on a port of their own. `origins`: whose pages may call the API from a browser.
    `pages`: those for people, which are served as well.
    """
    app = _routed()
    app.state.remit = services
    app.state.docs = docs
    if metrics:
        app.include_router(health.metrics_router)
    if docs:
        app.include_router(contract.pages)
    if pages is not None:
        app.state.pages = pages
        app.include_router(page_routes.router)
    handle_problems(app)
    handle_repeats(app)
    handle_withheld(app)
    app.add_middleware(BodyLimit)
    app.add_middleware(RequestRecorder)
    app.add_middleware(RateLimited)
    app.add_middleware(Exchange)
    if origins:
        allow_origins(app, origins)
    app.add_middleware(RequestRecords)
    app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=list(proxies))
    return app


def create_metrics_app(services: Services) -> FastAPI:
    """The metrics of the same process, for a port that only collectors can reach."""
    app = FastAPI(title=TITLE, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.remit = services
    app.include_router(health.metrics_router)
    handle_problems(app)
    app.add_middleware(Exchange)
    return app


def describe() -> dict[str, Any]:
    """The OpenAPI document of the application. It needs no services and no settings."""
    return openapi_document(_routed())


def _routed() -> FastAPI:
    app = FastAPI(
        title=TITLE,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        # A path has one spelling: many clients drop the body or the token when they follow a redirect.
        redirect_slashes=False,
        # Every operation lists its own problems instead of FastAPI's default body for 422.
        responses=problem_responses("validation_failed"),
    )
    # Routes are searched in this order, so the busiest come first.
    for room in (
        transfers,
        accounts,
        statements,
        auth,
        sessions,
        passwords,
        api_keys,
        browser,
        second_factor,
        reversals,
        disputes,
        health,
        statuses,
        standing_orders,
        tiers,
        notifications,
        events,
        batches,
        webhooks,
        streams,
        graphql,
    ):
        app.include_router(room.router)
    for room in (
        currencies,
        payees,
        documents,
        rails,
        customers,
        staff_documents,
        staff_accounts,
        staff_statements,
        fundings,
        staff_transfers,
        interventions,
        reviews,
        staff_temporal,
        staff_disputes,
        staff_standing_orders,
        staff_tiers,
        staff_batches,
        staff_webhooks,
        cases,
        screening_rules,
        dead_letters,
        books,
        rebuilds,
        role_requests,
        projections,
        staff,
        staff_auth,
        trail,
        histories,
    ):
        app.include_router(room.router)
    app.include_router(contract.router)
    return app
