"""The only place where the ledger's refusals become Temporal's errors. Any other error is in doubt: retried.

So is a busy account, but when the step comes again is not the retry policy's to say.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from ledger.postgres.account_queue import AccountBusy
from ledger.refusals import ActionRefused, LedgerConflict, Refusal

# A refusal is an answer, not a malfunction: Temporal neither logs it as a failure nor counts it as one.
BENIGN = ApplicationErrorCategory.BENIGN


@contextmanager
def refusals_as_answers() -> Iterator[None]:
    """Raise refusals and forbidden steps as non-retryable errors, whose type is their code or class name.

    The side that a refusal is about is the error's one detail; a refusal without a side has none. A step that is sent
    away from a busy account comes again when its account says so.
    """
    try:
        yield
    except AccountBusy as busy:
        if not busy.is_held:
            raise
        # A local attempt does not come again: the step goes on as a regular one at once.
        again_after = None if activity.info().is_local else busy.take_place()
        raise ApplicationError(
            str(busy), type=type(busy).__name__, next_retry_delay=again_after, category=BENIGN
        ) from busy
    except (Refusal, ActionRefused) as refusal:
        side = refusal.side if isinstance(refusal, Refusal) else None
        details = [side] if side else []
        raise ApplicationError(
            str(refusal), *details, type=refusal.code, non_retryable=True, category=BENIGN
        ) from refusal
    except LedgerConflict as conflict:
        raise ApplicationError(
            str(conflict), type=type(conflict).__name__, non_retryable=True, category=BENIGN
        ) from conflict
