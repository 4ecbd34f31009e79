"""A bucket on S3, or on a store that speaks its language. Everything here blocks, and belongs in a thread.

What goes wrong is raised as the storage's own errors. What may pass by itself (throttling, a lost connection, a 503)
has been tried several times by then.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import boto3
from boto3.s3.transfer import TransferConfig, create_transfer_manager
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from persistence.settings import SettingError, Settings
from persistence.storage import (
    ObjectNotFoundError,
    PendingUpload,
    StorageFullError,
    StorageUnavailableError,
    check_key,
)
from persistence.storage.presign import Keys

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef, CORSRuleOutputTypeDef, CORSRuleTypeDef
    from s3transfer.futures import TransferFuture

CONNECTIONS = 40
"""To the store, from one process: enough for all the threads that speak to it."""
_BLOCK = 2**20
_MANAGED_PART = 16 * 2**20
_MANAGED_THREADS = 8
_PATIENCE = 5
"""How often in a row a broken download is taken up again without a byte having come."""
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


class UploadUnknownError(Exception):
    """The store knows no such multipart upload: it is completed, aborted, or never was."""


class PartReplacedError(Exception):
    """A part is not the one that was listed a moment ago."""


class AbandonedError(Exception):
    """Nobody waits for this any more."""


@dataclass(frozen=True)
class ArrivedPart:
    """A part that the store has."""

    number: int
    size: int
    etag: str


class Bucket:
    """The verbs of S3 that we use, on our keys."""

    def __init__(self, settings: Settings) -> None:
        """Make the one client of this process, which any number of threads may use; speaks to nobody yet.

        Except where credentials come from the machine's role: then they are fetched. Raises SettingError.
        """
        settings.check_s3()
        self.name = cast("str", settings.s3_bucket)
        self._prefix = f"{settings.s3_prefix}/" if settings.s3_prefix else ""
        session = boto3.session.Session(
            aws_access_key_id=settings.s3_access_key_id,
            aws_secret_access_key=settings.s3_secret_access_key,
            region_name=settings.s3_region,
        )
        credentials = session.get_credentials()
        if credentials is None:
            raise SettingError("S3_ACCESS_KEY_ID is not set, and AWS credentials are in none of the usual places")
        self._credentials = credentials
        path_style = settings.s3_path_style
        if path_style is None:
            path_style = settings.s3_endpoint_url is not None or "." in self.name
        self.client: S3Client = session.client(  # pyright: ignore[reportUnknownMemberType]  # of all of AWS, only S3 is typed
            "s3",
            region_name=session.region_name or "us-east-1",
            endpoint_url=settings.s3_endpoint_url,
            config=Config(
                signature_version="s3v4",
                max_pool_connections=CONNECTIONS,
                connect_timeout=5,
                read_timeout=60,
                retries={"mode": "standard", "total_max_attempts": 4},
                # The newer checksums are unknown to many stores. The SHA-256 of each body is part of its signature,
                # so every store checks what we send it; what we read is compared with the ledger.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                s3={"addressing_style": "path" if path_style else "virtual", "payload_signing_enabled": True},
            ),
        )
        self.region: str = self.client.meta.region_name
        self.public_url = _bucket_url(
            settings.s3_public_endpoint_url or self.client.meta.endpoint_url, self.name, in_path=path_style
        )
        """Where clients find the objects; with a slash at its end."""
        self.passing_keys = hasattr(credentials, "refresh_needed")
        """Whether the credentials are for a while only, so that `keys` is to be asked now and then."""
        self._transfers = create_transfer_manager(
            self.client,
            TransferConfig(
                multipart_threshold=_MANAGED_PART, multipart_chunksize=_MANAGED_PART, max_concurrency=_MANAGED_THREADS
            ),
        )

    def close(self) -> None:
        """Let go of all connections."""
        self._transfers.shutdown(cancel=True)
        self.client.close()

    def keys(self) -> Keys:
        """Return who signs; fetches them again where they run out."""
        frozen = self._credentials.get_frozen_credentials()
        return Keys(frozen.access_key or "", frozen.secret_key or "", frozen.token)

    def full_key(self, key: str) -> str:
        """Return the key as the bucket knows it; raise InvalidKeyError."""
        return self._prefix + check_key(key)

    # Multipart uploads

    def begin(self, key: str) -> str:
        """Open an upload; return its id."""
        with _told():
            return self.client.create_multipart_upload(Bucket=self.name, Key=self.full_key(key))["UploadId"]

    def parts(self, upload: PendingUpload) -> list[ArrivedPart]:
        """List what has arrived. Raises UploadUnknownError."""
        with _told():
            return [
                ArrivedPart(each.get("PartNumber", 0), each.get("Size", 0), each.get("ETag", ""))
                for page in self.client.get_paginator("list_parts").paginate(**self._named(upload))
                for each in page.get("Parts", ())
            ]

    def complete(self, upload: PendingUpload, parts: Sequence[ArrivedPart]) -> None:
        """Make the object of its parts. Raises UploadUnknownError, PartReplacedError."""
        chosen: list[CompletedPartTypeDef] = [{"PartNumber": each.number, "ETag": each.etag} for each in parts]
        with _told():
            self.client.complete_multipart_upload(**self._named(upload), MultipartUpload={"Parts": chosen})

    def abort(self, upload: PendingUpload) -> None:
        """Drop the upload and its parts. Raises UploadUnknownError."""
        with _told():
            self.client.abort_multipart_upload(**self._named(upload))

    def unfinished(self, before: datetime) -> Iterator[PendingUpload]:
        """List our uploads that were begun before then."""
        with _told():
            pages = self.client.get_paginator("list_multipart_uploads").paginate(Bucket=self.name, Prefix=self._prefix)
            for page in pages:
                for each in page.get("Uploads", ()):
                    key, handle, begun = each.get("Key", ""), each.get("UploadId", ""), each.get("Initiated")
                    if begun is not None and begun < before:
                        yield PendingUpload(key=key.removeprefix(self._prefix), handle=handle)

    # Objects

    def size(self, key: str) -> int | None:
        """Return the object's size in bytes, None if there is none."""
        try:
            with _told():
                return self.client.head_object(Bucket=self.name, Key=self.full_key(key))["ContentLength"]
        except ObjectNotFoundError:
            return None

    def upload(self, path: Path, key: str, *, content_type: str, sha256: str) -> "TransferFuture":
        """Begin to store a file, a larger one in several parts at once, and return at once: await it by `finish`.

        Cancel what was returned to stop it.
        """
        extra: dict[str, Any] = {"ContentType": content_type, "Metadata": {"sha256": sha256}}
        return self._transfers.upload(str(path), self.name, self.full_key(key), extra_args=extra)

    def finish(self, upload: "TransferFuture") -> None:
        """Wait until the file is stored."""
        with _told():
            upload.result()

    def delete(self, key: str) -> None:
        """Remove the object if it is there."""
        with _told():
            self.client.delete_object(Bucket=self.name, Key=self.full_key(key))

    def read(self, key: str, stop: Event) -> "Reading":
        """Open the object to read it from its beginning to its end. Raises ObjectNotFoundError."""
        return Reading(self, key, stop)

    # Who may speak to the bucket from a browser

    def cors_rules(self) -> "list[CORSRuleOutputTypeDef]":
        """Return the bucket's CORS rules."""
        try:
            with _told():
                return self.client.get_bucket_cors(Bucket=self.name).get("CORSRules", [])
        except ObjectNotFoundError:
            return []

    def set_cors_rules(self, rules: "Sequence[CORSRuleTypeDef | CORSRuleOutputTypeDef]") -> None:
        """Put these in place of all the bucket has."""
        with _told():
            self.client.put_bucket_cors(Bucket=self.name, CORSConfiguration={"CORSRules": list(rules)})

    def _named(self, upload: PendingUpload) -> Any:
        return {"Bucket": self.name, "Key": self.full_key(upload.key), "UploadId": upload.handle}


class Reading:
    """One object, block by block, with flat memory: a connection that breaks is taken up where it broke."""

    def __init__(self, bucket: Bucket, key: str, stop: Event) -> None:
        """Open it, and know its size."""
        self._bucket, self._key, self._stop = bucket, key, stop
        self._etag = ""
        self._body = self._open(0)

    def __iter__(self) -> Generator[bytes]:
        """Yield the blocks. Raises AbandonedError when told to stop."""
        position = failures = 0
        while True:
            try:
                with _told():
                    for block in self._body.iter_chunks(_BLOCK):
                        if self._stop.is_set():
                            raise AbandonedError
                        yield block
                        position, failures = position + len(block), 0
            except StorageUnavailableError:
                failures += 1
                if failures > _PATIENCE:
                    raise
            else:
                return
            finally:
                self._body.close()
            self._stop.wait(0.1 * 2**failures)
            self._body = self._open(position)

    def _open(self, position: int) -> Any:
        names: dict[str, Any] = {"Bucket": self._bucket.name, "Key": self._bucket.full_key(self._key)}
        if position:
            names |= {"Range": f"bytes={position}-", "IfMatch": self._etag}
        with _told():
            found = self._bucket.client.get_object(**names)
        if position and not found.get("ContentRange", "").startswith(f"bytes {position}-"):
            found["Body"].close()
            raise StorageUnavailableError("the S3 storage cannot go on in the middle of an object")
        if not position:
            self.size, self._etag = found["ContentLength"], found["ETag"]
        return found["Body"]


def _bucket_url(endpoint: str, bucket: str, *, in_path: bool) -> str:
    parts = urlsplit(endpoint)
    host = parts.netloc.removesuffix(_DEFAULT_PORTS[parts.scheme])  # as clients name it, and so as it is signed
    if in_path:
        return f"{parts.scheme}://{host}{parts.path}/{bucket}/"
    return f"{parts.scheme}://{bucket}.{host}{parts.path}/"


_MEANINGS: Mapping[str, type[Exception]] = {
    "404": ObjectNotFoundError,
    "NoSuchKey": ObjectNotFoundError,
    "NoSuchCORSConfiguration": ObjectNotFoundError,
    "NoSuchUpload": UploadUnknownError,
    "InvalidPart": PartReplacedError,
    "QuotaExceeded": StorageFullError,
    "XMinioStorageFull": StorageFullError,
    "XMinioAdminBucketQuotaExceeded": StorageFullError,
    "507": StorageFullError,
}


@contextmanager
def _told() -> Generator[None]:
    """Raise the storage's own errors in place of those of boto3."""
    try:
        yield
    except ClientError as error:
        told = error.response.get("Error", {})
        code, message = told.get("Code", "?"), " ".join(told.get("Message", "").split())
        line = f"the S3 storage answers {error.operation_name} with {code}{f': {message}' if message else ''}"
        raise _MEANINGS.get(code, StorageUnavailableError)(line) from error
    except BotoCoreError as error:
        raise StorageUnavailableError(f"the S3 storage: {' '.join(str(error).split())}") from error
