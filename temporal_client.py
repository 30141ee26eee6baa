"""The connection to Temporal, as the settings describe it."""

import re
from datetime import timedelta

from temporalio.client import Client, Interceptor
from temporalio.service import KeepAliveConfig, TLSConfig

from setting_groups.value_lists import keys_in
from settings import Settings
from workflows.codec import EncryptingCodec, converter_with

# A connection that has gone silent is replaced after both times together. Temporal allows a client one ping in ten
# seconds, more only between its own answers: `TemporalGateway.watch` asks for one more often than that.
KEEP_ALIVE = KeepAliveConfig(interval_millis=1_000, timeout_millis=1_500)
CONNECT_TIMEOUT = timedelta(seconds=2)


async def connect_temporal(settings: Settings, *interceptors: Interceptor) -> Client:
    """A client of the namespace that the settings name. Raises `RuntimeError` where Temporal does not answer."""
    assert settings.temporal_address is not None, "the command line has checked it"
    try:
        return await Client.connect(
            settings.temporal_address,
            namespace=settings.temporal_namespace,
            api_key=settings.temporal_api_key.get_secret_value() if settings.temporal_api_key else None,
            tls=_tls(settings),
            data_converter=converter_with(codec_from(settings)),
            keep_alive_config=KEEP_ALIVE,
            connect_timeout=CONNECT_TIMEOUT,
            interceptors=interceptors,
        )
    except RuntimeError as error:
        raise RuntimeError(
            f"Temporal at {settings.temporal_address} does not answer: {_cause_in(str(error))}"
        ) from error


def _tls(settings: Settings) -> TLSConfig | bool:
    """How the connection to Temporal is encrypted: by our certificates, by the system's, or not at all."""
    files = (settings.temporal_tls_ca, settings.temporal_tls_cert, settings.temporal_tls_key)
    if not any(files) and settings.temporal_tls_name is None:
        return settings.temporal_tls or settings.temporal_api_key is not None
    ca, cert, key = (file.read_bytes() if file else None for file in files)
    return TLSConfig(
        server_root_ca_cert=ca, domain=settings.temporal_tls_name, client_cert=cert, client_private_key=key
    )


def codec_from(settings: Settings) -> EncryptingCodec | None:
    """What encrypts and decrypts the histories in Temporal; None where they are kept in the clear."""
    from database.encryption import Encryption  # noqa: PLC0415 - most who connect need no database

    keys = keys_in(settings.history_keys)
    return EncryptingCodec(Encryption(keys)) if keys else None


# The SDK's error nests the reason in what Rust prints of its own errors.
_CAUSE = re.compile(r'(?:message|error): "((?:[^"\\]|\\.)+)"')


def _cause_in(text: str) -> str:
    """The innermost reason: `Connection refused` of an error of three lines."""
    causes = _CAUSE.findall(text)
    return str(causes[-1]) if causes else " ".join(text.split())
