"""When a transfer reached each of its states, as the events tell it. Pure: no I/O, no clock."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from events.event import Event
from ledger.ids import TransferId
from ledger.transfers import NEXT_STATE, State
from projections.projection import OutOfOrder


@dataclass(frozen=True, slots=True)
class Reached:
    """A state that an attempt reached, and when."""

    attempt: int
    state: State
    at: datetime


@dataclass(frozen=True, slots=True)
class TransferStatus:
    """Every state that a transfer has reached, oldest first. There is at least one."""

    transfer_id: TransferId
    reached: tuple[Reached, ...]

    @property
    def state(self) -> State:
        """The last state."""
        return self.reached[-1].state

    @property
    def attempt(self) -> int:
        """The last attempt."""
        return self.reached[-1].attempt

    @property
    def latency(self) -> timedelta | None:
        """From the beginning to the end of the last attempt; None: it has not ended."""
        if not self.state.is_final:
            return None
        began = next(each.at for each in self.reached if each.attempt == self.attempt)
        return self.reached[-1].at - began


def changed_transfer(event: Event) -> TransferId | None:
    """The transfer whose state changed by this event; None: no transfer's did."""
    return TransferId(event.data["transfer"]["id"]) if event.type.startswith("transfer.") else None


def with_state(before: TransferStatus | None, event: Event) -> TransferStatus:
    """The status after the event. Raises `OutOfOrder` unless its state may follow."""
    transfer = event.data["transfer"]
    reached = Reached(transfer["attempt"], State(transfer["state"]), event.occurred_at)
    if before is None:
        may_follow = (reached.attempt, reached.state) == (1, State.INITIATED)
    else:
        attempt = before.attempt + (reached.state is State.INITIATED)
        may_follow = reached.state in NEXT_STATE[before.state] and reached.attempt == attempt
    if not may_follow:
        last = f"{before.state} of attempt {before.attempt}" if before else "nothing"
        raise OutOfOrder(
            f"event {event.position} is {reached.state} of attempt {reached.attempt} of {transfer['id']}, and what was "
            f"projected ends with {last}"
        )
    return TransferStatus(transfer["id"], (*(before.reached if before else ()), reached))
