"""Events on their way out: streams, webhooks and dead letters."""

from collections.abc import Mapping

from api.problems.codes import Meaning

OUTGOING_EVENTS: Mapping[str, Meaning] = {
    "dead_letter_not_found": Meaning(404, "No such dead letter", "There is no dead letter with this id."),
    "webhook_endpoint_not_found": Meaning(
        404, "No such webhook endpoint", "There is no webhook endpoint with this id."
    ),
    "cursor_expired": Meaning(
        410, "Events behind this cursor are no longer kept", "The oldest events that are kept are behind position 1200."
    ),
    "sink_not_found": Meaning(404, "No such sink", "No sink with this name was ever run."),
    "sink_in_use": Meaning(
        409, "The sink is in use", "Take it out of the settings of all processes, and restart them, first."
    ),
    "dead_letter_ended": Meaning(
        409, "The dead letter has ended", "A dead letter is replayed or discarded once. What dies again is another one."
    ),
    "dead_letter_unsendable": Meaning(
        409,
        "The dead letter cannot be sent again",
        "Its endpoint was deleted, its sink retired, or its event is no longer kept.",
    ),
    "too_many_webhook_endpoints": Meaning(
        409, "There are too many webhook endpoints", "There are 20 already: delete one that is not needed."
    ),
    "webhook_endpoint_disabled": Meaning(
        409, "The webhook endpoint is disabled", "Nothing is sent to it: enable it first."
    ),
    "webhook_url_refused": Meaning(422, "No webhook is sent to this URL", "The address is not public."),
    "too_many_streams": Meaning(
        429,
        "Too many open streams",
        "Close one first: a customer may hold 20 open at one process, and it serves 1,000.",
    ),
}
