"""`remit` of another release, for `python -m`: neither release can replay the other's transfers."""

from collections.abc import Sequence

import worker
from cli.main import main
from tests.workflows.reordered import ScreensFirst
from workflows.transfer.saga import TransferWorkflow


def _next(workflows: Sequence[type]) -> tuple[type, ...]:
    return tuple(ScreensFirst if found is TransferWorkflow else found for found in workflows)


worker.WORKFLOWS, worker.VERSIONED_WORKFLOWS = _next(worker.WORKFLOWS), _next(worker.VERSIONED_WORKFLOWS)

if __name__ == "__main__":
    main()
