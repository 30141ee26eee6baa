"""The HTTP application: routes, problems and limits around a state that a composition root has made."""

from fastapi import FastAPI

from api.edge import BodyLimit, Metrics
from api.problems import handle_problems, problem_responses
from api.routes import accounts, auth, disputes, health, reversals, transfers
from api.routes.admin import accounts as admin_accounts
from api.routes.admin import books as admin_books
from api.routes.admin import customers as admin_customers
from api.routes.admin import disputes as admin_disputes
from api.routes.admin import steering as admin_steering
from api.routes.admin import transfers as admin_transfers
from api.state import State

DESCRIPTION = """
Durable money transfers. Every request that moves money carries an `Idempotency-Key`: repeat it, with the same key and
body, as often as you like, and the money moves once.

Amounts are integers in the currency's minor unit. Errors are `application/problem+json` (RFC 9457) with a stable
`code`.
"""


def create_app(state: State, *, docs: bool) -> FastAPI:
    """The application over this state. The caller owns the state's connections."""
    app = FastAPI(
        title="Remit",
        version="1",
        summary="Durable money transfers on Temporal and PostgreSQL",
        description=DESCRIPTION,
        docs_url="/docs" if docs else None,
        redoc_url=None,
        # A path has one spelling: many clients follow a redirect without the body or the token.
        redirect_slashes=False,
        openapi_url="/openapi.json" if docs else None,
        # Every operation lists its own problems, instead of FastAPI's default body for 422.
        responses=problem_responses("validation_failed"),
    )
    app.state.remit = state
    handle_problems(app)
    # Routes are searched in this order, so the busiest come first.
    for router in (transfers.router, accounts.router, auth.router, reversals.router, disputes.router, health.router):
        app.include_router(router)
    for admin in (admin_customers, admin_accounts, admin_transfers, admin_steering, admin_disputes, admin_books):
        app.include_router(admin.router)
    app.add_middleware(BodyLimit)
    app.add_middleware(Metrics)
    return app
