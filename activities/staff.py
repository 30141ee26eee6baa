"""The step that records what staff request of a transfer's workflow. No money moves here."""

from temporalio import activity

from activities.refusals import refusals_as_answers
from database.connections import Database
from ledger.transfers import TransferOrder
from staff.permissions import Action
from staff.postgres.actions import StaffActions
from staff.update_input import StaffRequest


class StaffSteps:
    """Requests that reach a workflow as updates, from the API or typed in Temporal."""

    def __init__(self, database: Database) -> None:
        self._actions = StaffActions(database)

    @activity.defn
    async def record_staff_action(
        self, order: TransferOrder, action: Action, request: StaffRequest, update_id: str
    ) -> None:
        """Record the request as taken, before the workflow acts on it; also before the transfer has a row.

        Once for each update. Refuses as `not_staff` whoever is no operator or admin, and as `conflict_of_interest` a
        party of the transfer.
        """
        with refusals_as_answers():
            await self._actions.take(order, action, request, update_id)
