"""Standing orders: what their dates, their state and their accounts do not allow."""

from collections.abc import Mapping

from api.problems.codes import Meaning

STANDING_ORDERS: Mapping[str, Meaning] = {
    "standing_order_not_found": Meaning(404, "No such standing order", "There is no standing order with this id."),
    "nothing_to_skip": Meaning(409, "Nothing to skip", "2027-03-31 is none of the next dates of this standing order."),
    "standing_order_ended": Meaning(
        409, "The standing order has ended", "It is completed or cancelled: make a new one."
    ),
    "standing_order_paused_by_staff": Meaning(
        409, "Staff have paused the standing order", "It was paused by the service: ask its support."
    ),
    "too_many_standing_orders": Meaning(
        409, "There are too many standing orders", "You have 200 that have not ended: cancel one first."
    ),
    "currency_mismatch": Meaning(
        422, "An account holds another currency", "The source account does not hold USD, the currency of the transfer."
    ),
    "first_date_passed": Meaning(422, "The first date has passed", "The first date must be 2027-01-31 or later."),
    "standing_order_without_dates": Meaning(
        422, "The standing order has no dates", "The order ends before its first date."
    ),
}
