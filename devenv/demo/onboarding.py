"""The chapter about a customer whose identity document is rejected at first."""

from customers.documents.document import VerificationState
from customers.documents.sandbox import REJECTED_NUMBER
from devenv.demo.context import DemoContext, failure_code, failure_text
from devenv.demo.customers import DemoCustomer, new_number
from ledger.transfers import State

GIFT_MINOR = 1_000


async def onboard(demo: DemoContext) -> None:
    """Money reaches a customer who is not verified, and leaves after another document was accepted."""
    demo.output.step(
        "Eve registers with a document that is rejected",
        "Her account takes money at once. None leaves it until her identity is verified.",
    )
    eve = await DemoCustomer.register(demo.http, "Eve Danso", REJECTED_NUMBER)
    shown = await eve.verification()
    demo.output.note(shown.reason or "")
    demo.output.check("Eve reads that and why", expected=VerificationState.REJECTED, found=shown.state)
    gift = await demo.ada.send(eve, GIFT_MINOR, "cake")
    refused = await eve.send(demo.ada, GIFT_MINOR, "back")
    demo.show("Ada → Eve", gift)
    demo.show("Eve → Ada", refused)
    demo.output.note(failure_text(refused.accepted))
    demo.output.check(
        "Money came in, and none left",
        expected=(State.COMPLETED, "identity_not_verified", GIFT_MINOR),
        found=(gift.accepted.state, failure_code(refused.accepted), await eve.balance()),
    )
    document = await eve.send_document("BVN", new_number())
    retried = await eve.retry(refused)
    demo.show("Eve → Ada", retried)
    demo.output.check(
        "After another document was verified, the same transfer completes",
        expected=(VerificationState.VERIFIED, State.COMPLETED, refused.accepted.id),
        found=(document.state, retried.accepted.state, retried.accepted.id),
    )
