"""The step that records what staff request of a transfer's workflow. No money moves here."""

from temporalio import activity

from activities.refusals import refusals_as_answers
from database.connections import Database
from ledger.transfers import TransferOrder
from staff.permissions import Action
from staff.postgres.actions import StaffActions
from staff.update_input import StaffRequest


class StaffSteps:
    """Requests that reach a workflow as updates, sent by the API or entered in Temporal."""

    def __init__(self, database: Database) -> None:
        self._actions = StaffActions(database)

    @activity.defn
    async def record_staff_action(
        self, order: TransferOrder, action: Action, request: StaffRequest, update_id: str
    ) -> None:
        """Record the request as taken, before the workflow acts on it. The transfer need not have a row yet.

        Once for each update. Refuses a person who is no operator or admin as `not_staff`, and a party of the transfer
        as `conflict_of_interest`.
        """
        with refusals_as_answers():
            await self._actions.take(order, action, request, update_id)
