"""What causes what happens in this context. Triggers read it from the transaction, for the audit trail. No I/O."""

import json
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class Cause:
    """The request that causes what happens, where it came from, and who made it, once that is known.

    Without an address it is a step of a workflow, which acts for a request that was answered long ago.
    """

    request_id: str
    address: str | None = None
    actor_id: str | None = None

    def as_json(self) -> str:
        """What the triggers read. What is not known is not in it."""
        found = {"request_id": self.request_id, "address": self.address, "actor_id": self.actor_id}
        return json.dumps({name: value for name, value in found.items() if value is not None})


CAUSE: ContextVar[Cause | None] = ContextVar("what causes it", default=None)


def causing_request_id() -> str | None:
    """The id of the request that the present act goes back to."""
    cause = CAUSE.get()
    return None if cause is None else cause.request_id
