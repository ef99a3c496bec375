"""Keeps blobs in a bucket of S3, or of a server that speaks like it."""

from datetime import timedelta
from typing import TYPE_CHECKING

from obstore.store import S3Store

from freddy.server.stores.blobs.objects import ObjectBlobs

if TYPE_CHECKING:
    from obstore.store import ClientConfig, S3Config  # only its stubs have them

_CONNECT = timedelta(seconds=5)
_IDLE = timedelta(seconds=30)
_WHOLE = timedelta(minutes=30)
"""Of one request: a slow reader of a large file takes its time."""
_RETRIES = 3


class S3Blobs(ObjectBlobs):
    """Without `access_key` the keys are those of the environment or the machine's role, as AWS' own tools find them."""

    def __init__(
        self,
        bucket: str,
        *,
        region: str,
        endpoint: str | None = None,
        prefix: str | None = None,
        access_key: str | None = None,
        secret_key: str | None = None,
    ) -> None:
        config: S3Config = {"region": region}
        client: ClientConfig = {"connect_timeout": _CONNECT, "read_timeout": _IDLE, "timeout": _WHOLE}
        if endpoint is not None:
            # Servers other than AWS seldom have a host name for each bucket.
            config |= {"endpoint": endpoint, "virtual_hosted_style_request": False}
            client["allow_http"] = endpoint.startswith("http://")
        if access_key is not None and secret_key is not None:
            config |= {"access_key_id": access_key, "secret_access_key": secret_key}
        store = S3Store(
            bucket,
            prefix=prefix,
            config=config,
            client_options=client,
            retry_config={"max_retries": _RETRIES, "retry_timeout": timedelta(seconds=30)},
        )
        super().__init__(lambda: store, f"s3://{bucket}/{prefix or ''}")
