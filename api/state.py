"""What the routes work with, put together by a composition root."""

from dataclasses import dataclass, field
from typing import Annotated, cast

from fastapi import Depends, Request

from api.acceptance import Acceptance
from api.attempts import SignIns
from api.engine import Engine
from api.gauges import AttentionCount
from api.steering import Steering
from api.tokens import Tokens
from api.web_ui import WebUi
from ledger.disputes import DisputeTerms
from ledger.postgres.customers import Customers
from ledger.postgres.database import Database
from ledger.postgres.disputes import Disputes
from ledger.postgres.operators import Operators
from ledger.postgres.oversight import Oversight
from ledger.postgres.reversals import Reversals
from ledger.postgres.statements import Statements


@dataclass(frozen=True, slots=True)
class State:
    """One API process."""

    database: Database
    customers: Customers
    statements: Statements
    acceptance: Acceptance
    engine: Engine
    tokens: Tokens
    sandbox_rails: bool
    operators: Operators
    oversight: Oversight
    reversals: Reversals
    disputes: Disputes
    dispute_terms: DisputeTerms
    web_ui: WebUi
    steering: Steering
    attention: AttentionCount
    sign_ins: SignIns = field(default_factory=SignIns)


async def state_of(request: Request) -> State:
    """The state that the app was made with."""
    return cast("State", request.app.state.remit)


Remit = Annotated[State, Depends(state_of)]
