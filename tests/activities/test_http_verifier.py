"""The HTTP verifier against a real server that is slow, down or lying: neither is a yes, and none tells a secret."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from traceback import format_exception

import pytest

from activities.http_verifier import MOST_BYTES, HttpVerifier
from customers.documents.document import DocumentFinding, RejectionCode, VerificationState
from customers.documents.verifier import Inquiry, VerifierInDoubt
from ledger.ids import new_customer_id, new_document_id

NUMBER = "22334455667"
INQUIRY = Inquiry(new_document_id(), new_customer_id(), "NIN", NUMBER, "Ada Obi")

Answers = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Provider:
    """A server that answers every request in one way, and keeps what it was asked."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self.asked: list[tuple[dict[str, str], dict[str, str]]] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        body = json.loads(await reader.readexactly(int(headers["content-length"])))
        self.asked.append((headers, body))
        try:
            await self._answers(writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def provider(answers: Answers) -> AsyncIterator[Provider]:
    made = Provider(answers)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/verifications"
    try:
        yield made
    finally:
        server.close()


def says(status: int, body: object, *headers: str) -> Answers:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def answer(writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(text)}", "Connection: close", *headers]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + text)
        await writer.drain()

    return answer


async def hangs(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(30)


async def drips(writer: asyncio.StreamWriter) -> None:
    """Each read is in time, and the whole never is."""
    writer.write(b"HTTP/1.1 200 X\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(1000):
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.1)


async def floods(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 X\r\nConnection: close\r\n\r\n")
    while True:
        writer.write(b"{" * 4096)
        await writer.drain()


async def hangs_up(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 X\r\nContent-Length: 1000\r\n\r\n{")
    await writer.drain()


def answer(**changes: object) -> dict[str, object]:
    return {"document_id": INQUIRY.document_id, "outcome": "verified"} | changes


@pytest.mark.parametrize(
    ("body", "finding"),
    [
        (answer(), DocumentFinding(VerificationState.VERIFIED)),
        (answer(reference="any more"), DocumentFinding(VerificationState.VERIFIED)),
        (answer(outcome="needs_review"), DocumentFinding(VerificationState.IN_REVIEW)),
        (answer(outcome="pending"), DocumentFinding(VerificationState.PENDING)),
        (
            answer(outcome="rejected", code="name_mismatch"),
            DocumentFinding(VerificationState.REJECTED, RejectionCode.NAME_MISMATCH),
        ),
        (
            answer(outcome="rejected", code="<b>22334455667</b>"),
            DocumentFinding(VerificationState.REJECTED, RejectionCode.DOCUMENT_REFUSED),
        ),
        (answer(outcome="rejected"), DocumentFinding(VerificationState.REJECTED, RejectionCode.DOCUMENT_REFUSED)),
    ],
)
async def test_a_providers_answer_becomes_a_finding_with_our_codes_only(body: object, finding: DocumentFinding) -> None:
    async with provider(says(200, body)) as asked:
        assert await HttpVerifier(asked.url, "a token").find_out(INQUIRY) == finding


async def test_each_inquiry_about_a_document_has_the_same_key() -> None:
    async with provider(says(200, answer())) as asked:
        verifier = HttpVerifier(asked.url, "a token")
        await verifier.find_out(INQUIRY)
        await verifier.find_out(INQUIRY)
    (headers, body), again = asked.asked
    assert headers["idempotency-key"] == again[0]["idempotency-key"] == INQUIRY.document_id
    assert headers["authorization"] == "Bearer a token"
    assert body == {
        "document_id": INQUIRY.document_id,
        "type": "NIN",
        "number": NUMBER,
        "full_name": "Ada Obi",
    }


@pytest.mark.parametrize(
    "answers",
    [
        says(500, answer()),
        says(202, answer()),
        says(302, b"", "Location: http://127.0.0.1:9/elsewhere"),
        says(200, b""),
        says(200, b"<html>22334455667</html>"),
        says(200, []),
        says(200, answer(document_id=new_document_id())),
        says(200, answer(document_id=None)),
        says(200, {"outcome": "verified"}),
        says(200, answer(outcome="yes, 22334455667")),
        says(200, answer(outcome=True)),
        says(200, b'{"document_id": "22334455667", "outcome": "ver'),
        says(200, b"\xff\xfe"),
        says(200, b" " * (MOST_BYTES + 1)),
        says(200, b"\x1f\x8b broken", "Content-Encoding: gzip"),
        floods,
        hangs_up,
        hangs,
        drips,
    ],
)
async def test_a_provider_that_is_slow_down_or_lying_says_neither_yes_nor_no_and_repeats_no_number(
    answers: Answers,
) -> None:
    async with provider(answers) as asked:
        began = time.monotonic()
        with pytest.raises(VerifierInDoubt) as doubt:
            await HttpVerifier(asked.url, seconds=1).find_out(INQUIRY)
        assert time.monotonic() - began < 5
    # What a log or a workflow's history would hold of it, causes included.
    told = "".join(format_exception(doubt.value))
    assert NUMBER not in told
    assert "Ada" not in told
    assert doubt.value.__cause__ is None


async def test_a_provider_that_nobody_reaches_is_in_doubt() -> None:
    async with provider(hangs) as asked:
        url = asked.url
    with pytest.raises(VerifierInDoubt):
        await HttpVerifier(url, seconds=2).find_out(INQUIRY)


def test_an_inquiry_that_is_printed_tells_nothing_of_its_customer() -> None:
    assert repr(INQUIRY) == f"Inquiry({INQUIRY.document_id})"
