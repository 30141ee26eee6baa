"""The chapter about a batch: a thousand transfers in one request."""

import time
from functools import partial

from api.batches.models import BatchOut
from batches.batch import BatchState
from devenv.demo.context import DemoContext, usd

SALARIES = 1_000
SALARY_MINOR = 100
PAID_WITHIN_SECONDS = 20.0


async def pay_salaries(demo: DemoContext) -> None:
    """Ada pays a salary run."""
    demo.output.step(
        f"Ada pays {SALARIES:,} salaries by one request",
        "POST /v1/batches checks all of them first. A workflow posts 500 in each transaction.",
    )
    before = await demo.holdings()
    began = time.monotonic()
    accepted = await demo.ada.send_batch(demo.ben, SALARY_MINOR, SALARIES)
    answered = time.monotonic()
    paid = await demo.until(partial(_ended, demo, accepted), "paid", PAID_WITHIN_SECONDS)
    took = time.monotonic() - began
    demo.output.table(
        ("batch", "items", "each", "HTTP took", "all paid after", "state"),
        [
            (
                paid.id,
                f"{paid.total:,}",
                usd(SALARY_MINOR),
                f"{(answered - began) * 1000:.0f} ms",
                f"{took:.1f} s",
                paid.state.value,
            )
        ],
        numbers=("items", "each", "HTTP took", "all paid after"),
    )
    demo.output.check(
        "Every salary is paid once",
        expected=(SALARIES, before.after(ada=-SALARIES * SALARY_MINOR, ben=SALARIES * SALARY_MINOR)),
        found=(paid.counts.completed, await demo.holdings()),
    )


async def _ended(demo: DemoContext, accepted: BatchOut) -> BatchOut | None:
    found = await demo.ada.batch(accepted.id)
    return found if BatchState(found.state).is_final else None
