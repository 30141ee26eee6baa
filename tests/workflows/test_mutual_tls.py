"""A Temporal server that asks for certificates: a process shows its own, and does not get in without."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import ValidationError
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest

from devenv.servers.temporal_server import TemporalServer
from settings import Settings
from temporal_client import connect_temporal

NAME = "temporal.bank.example"


class Authority:
    """Signs certificates, and writes them as PEM files into a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Remit tests")])
        itself = self._signed(self._name, self._key.public_key(), x509.BasicConstraints(ca=True, path_length=0))
        self.file = folder / "ca.pem"
        self.file.write_bytes(itself.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str) -> tuple[Path, Path]:
        """The files of a certificate for this name, and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        cert = self._signed(subject, key.public_key(), x509.SubjectAlternativeName([x509.DNSName(name)]))
        files = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        files[0].write_bytes(cert.public_bytes(serialization.Encoding.PEM))
        files[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return files

    def _signed(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, extension: x509.ExtensionType
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(extension, critical=False)
            .sign(self._key, hashes.SHA256())
        )


@asynccontextmanager
async def behind_tls(temporal: TemporalServer, authority: Authority) -> AsyncIterator[str]:
    """The address of a proxy that asks for a certificate of this authority, and passes everything on to Temporal."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(authority.file))
    context.load_cert_chain(*authority.issue(NAME))
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["h2"])
    host, _, port = temporal.address.rpartition(":")

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind_reader, behind_writer = await asyncio.open_connection(host, int(port))
        await asyncio.gather(copy(reader, behind_writer), copy(behind_reader, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_a_process_shows_its_certificate_and_is_refused_without(temporal: TemporalServer, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    cert, key = authority.issue("worker.bank.example")
    async with behind_tls(temporal, authority) as address:
        given = {"temporal_address": address, "temporal_tls_ca": authority.file, "temporal_tls_name": NAME}
        client = await connect_temporal(
            Settings.model_validate(given | {"temporal_tls_cert": cert, "temporal_tls_key": key})
        )
        answer = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace="default"))
        assert answer.namespace_info.name == "default"
        with pytest.raises(RuntimeError, match="does not answer"):
            await connect_temporal(Settings.model_validate(given))


def test_half_of_a_certificate_and_a_file_that_is_missing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="belong together"):
        Settings.model_validate({"temporal_tls_cert": Authority(tmp_path).file})
    with pytest.raises(ValidationError, match="cannot be read: give the path of a PEM file"):
        Settings.model_validate({"temporal_tls_ca": tmp_path / "missing.pem"})
