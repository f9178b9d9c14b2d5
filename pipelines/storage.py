"""One small view of OUT, the same for a folder and an s3:// prefix: files, conditional puts, Delta options."""

from __future__ import annotations

import json
import os
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property, lru_cache
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from encoders.failures import InterlaceError
from encoders.fault_points import fault_point
from encoders.redaction import has_user_info

ROWS = 32_768  # of one file that are in memory at once, where files may be large
ATTEMPTS = 8  # of one request to a store that answers 503, cuts the line or does not answer


def refuse_credentials(uri: str) -> None:
    """Raise InterlaceError for a uri with a name or password in it: uris are written into tables and reports."""
    if has_user_info(uri):
        raise InterlaceError(
            f"{uri} has credentials in it; leave them out and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )


def local_path(text: str) -> Path:
    """An absolute path without `..`, since a file must have one name wherever a command is run from."""
    path = Path(text.removeprefix("file://")).expanduser().absolute()
    flat = Path(os.path.normpath(path))
    same = flat.samefile(path) if flat.exists() and path.exists() else not path.exists()
    return flat if same else path.resolve()  # `..` behind a link leads elsewhere


class StorageError(InterlaceError):
    """The store did not do what it was asked for: full, gone, or it no longer lets us in. Nothing half-done is visible;
    the same command goes on from there once the store works again."""


@contextmanager
def told(what: str, path: str, *others: type[Exception]) -> Iterator[None]:
    """Errors of the store, whoever raises them (the system, Arrow, boto, ``others``), as a StorageError that names the
    file."""
    try:
        yield
    except InterlaceError:
        raise
    except Exception as error:
        known = isinstance(error, (OSError, pa.ArrowException, *others))
        if not known and not type(error).__module__.startswith("botocore"):
            raise
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise StorageError(f"cannot {what} {path}: {reason}") from error


@lru_cache(maxsize=1)  # building one takes 50 ms, and it may be shared by threads
def s3_client() -> Any:
    """A boto3 S3 client that respects AWS_ENDPOINT_URL; path addressing, since few private stores resolve buckets."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3",
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"} if os.environ.get("AWS_ENDPOINT_URL") else {},
            retries={"mode": "adaptive", "max_attempts": ATTEMPTS},
            max_pool_connections=64,
        ),
        region_name=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1",
    )


class Storage:
    """OUT: where tables, manifests, journals and unpublished files lie. Picklable, opened lazily on each process."""

    def __init__(self, out: str) -> None:
        refuse_credentials(out)
        self.out = out.rstrip("/") if out.startswith("s3://") else str(local_path(out))
        self.remote = self.out.startswith("s3://")
        if re.search("%[0-9A-Fa-f]{2}", self.out):
            raise InterlaceError(f"{self.out} has a % code in it, which Delta takes for another sign; name another OUT")

    def __reduce__(self) -> tuple[type[Storage], tuple[str]]:
        return Storage, (self.out,)

    @cached_property
    def filesystem(self) -> pafs.FileSystem:
        """The pyarrow filesystem behind OUT."""
        if not self.remote:
            return pafs.LocalFileSystem()
        endpoint = os.environ.get("AWS_ENDPOINT_URL", "")
        scheme, _, host = endpoint.rpartition("://")
        options: dict[str, Any] = {"endpoint_override": host, "scheme": scheme or "https"} if host else {}
        return pafs.S3FileSystem(
            region=os.environ.get("AWS_REGION", "us-east-1"),
            force_virtual_addressing=False,
            retry_strategy=pafs.AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS),
            **options,
        )

    @property
    def root(self) -> str:
        """OUT as the filesystem's own path."""
        return self.out.removeprefix("s3://")

    def path(self, *names: str) -> str:
        """A path below OUT, as the filesystem's own path."""
        return "/".join((self.root, *names))

    def below(self, path: str) -> str:
        """The inverse of `path`: what names the file below OUT."""
        return path.removeprefix(self.root + "/")

    def table_uri(self, name: str) -> str:
        """Where the Delta table ``name`` lies."""
        return f"{self.out}/{name}"

    def delta_options(self) -> dict[str, str]:
        """Storage options for deltalake; put-if-absent commits by etag."""
        if not self.remote:
            return {}
        options = {"aws_conditional_put": "etag", "AWS_REGION": os.environ.get("AWS_REGION", "us-east-1")}
        endpoint = os.environ.get("AWS_ENDPOINT_URL", "")
        if endpoint:
            options |= {"AWS_ENDPOINT_URL": endpoint, "AWS_ALLOW_HTTP": str(endpoint.startswith("http://")).lower()}
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
            if name in os.environ:
                options[name] = os.environ[name]
        return options

    def check_writable(self) -> None:
        """Raise StorageError when OUT cannot be written, before any work is done for it."""
        probe = self.path("_interlace", f"write-test-{uuid.uuid4().hex}")
        try:
            self.write_bytes(probe, b"")
            self.delete(probe)
        except StorageError as error:
            raise StorageError(f"cannot write to {self.out}: {error}; check the path and its permissions") from error

    def write_bytes(self, path: str, data: bytes) -> None:
        """Write a whole file; readers see all of it or nothing. Raises StorageError."""
        with told("write", self.shown(path)):
            fault_point("storage.write", self.below(path))
            if self.remote:
                with self.filesystem.open_output_stream(path) as stream:
                    stream.write(data)
            else:
                _partial(path, data).replace(path)
            fault_point("storage.written", self.below(path))

    def write_notice(self, path: str, data: bytes) -> None:
        """Write a small file that nothing depends on: readers see all of it or nothing, but it may be lost with the
        machine, and no fault is injected into it."""
        with told("write", self.shown(path)):
            if self.remote:
                with self.filesystem.open_output_stream(path) as stream:
                    stream.write(data)
            else:
                target = Path(path)
                partial = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
                partial.write_bytes(data)
                partial.replace(target)

    def write_if_absent(self, path: str, data: bytes) -> bool:
        """Create a file; False when it exists already with other contents. Atomic against other writers.

        When the reply to a successful put is lost, the retry finds the file that it made itself. So a file with the
        same bytes counts as created: whoever must know that it was nobody else puts something of its own into it.
        """
        with told("write", self.shown(path)):
            fault_point("storage.create", self.below(path))
            created = self._create(path, data) or self.read_bytes(path) == data
            fault_point("storage.created", self.below(path))
            return created

    def _create(self, path: str, data: bytes) -> bool:
        if self.remote:
            from botocore.exceptions import ClientError

            bucket, _, key = path.partition("/")
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    s3_client().put_object(Bucket=bucket, Key=key, Body=data, IfNoneMatch="*")
                    return True
                except ClientError as error:
                    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
                    if status == 412:
                        return False
                    if status != 409 or attempt == ATTEMPTS:
                        raise
                    time.sleep(0.05 * 2**attempt)  # another write to this key is under way, and may yet fail
        partial = _partial(path, data)
        try:
            os.link(partial, path)  # unlike rename, link fails when the target exists
        except FileExistsError:
            return False
        finally:
            partial.unlink()
        return True

    def read_bytes(self, path: str) -> bytes | None:
        """The contents of a file, or None when there is no such file."""
        with told("read", self.shown(path)):
            if self.remote:
                return _get_object(path)
            try:
                return Path(path).read_bytes()
            except FileNotFoundError:
                return None

    def write_json(self, path: str, value: Any) -> None:
        """Write a value as JSON."""
        self.write_bytes(path, json.dumps(value, ensure_ascii=False, default=str).encode())

    def create_json(self, path: str, value: Any) -> bool:
        """`write_if_absent` for a value as JSON."""
        return self.write_if_absent(path, json.dumps(value, ensure_ascii=False, default=str).encode())

    def read_json(self, path: str) -> Any:
        """The value of a JSON file, or None when there is no such file."""
        data = self.read_bytes(path)
        return None if data is None else json.loads(data)

    def write_parquet(self, path: str, table: pa.Table) -> int:
        """Write a table as one Parquet file; returns its size in bytes."""
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        data = sink.getvalue()
        self.write_bytes(path, data.to_pybytes())
        return int(data.size)

    @contextmanager
    def parquet_writer(self, path: str, schema: pa.Schema, *, small: bool = False) -> Iterator[pq.ParquetWriter]:
        """A Parquet file that is written row group by row group, for what does not fit in memory. In a folder readers
        see all of it or nothing; on S3 a writer that fails may leave a torn one, so something has to say that it is
        whole. ``small``: row groups have a few rows, for which dictionaries, statistics and zstd only cost time."""
        with told("write", self.shown(path)):
            fault_point("storage.write", self.below(path))
            if self.remote:
                with self.filesystem.open_output_stream(path) as stream, _writer(stream, schema, small) as writer:
                    yield writer
            else:
                with _durable(path) as (stream, partial), _writer(stream, schema, small) as writer:
                    yield writer
                partial.replace(path)
            fault_point("storage.written", self.below(path))

    def read_parquet(self, path: str, columns: list[str] | None = None) -> pa.Table:
        """A Parquet file as a table."""
        with told("read", self.shown(path)):
            for attempt in range(ATTEMPTS):
                try:
                    with self.filesystem.open_input_file(path) as stream:
                        return pq.ParquetFile(stream).read(columns)  # not read_table, which imports pandas
                except FileNotFoundError:
                    raise
                except OSError:
                    # Arrow's client gives up when the text of an error is longer than the range that it asked for.
                    if not self.remote or attempt == ATTEMPTS - 1:
                        raise
        raise AssertionError("unreachable")

    def read_parquet_up_to(self, path: str, rows: int, columns: list[str]) -> pa.Table | None:
        """A Parquet file as a table, or None when it has more rows than that."""
        with told("read", self.shown(path)), self.filesystem.open_input_file(path) as stream:
            reader = pq.ParquetFile(stream)
            return reader.read(columns) if reader.metadata.num_rows <= rows else None

    def read_parquet_rows(self, path: str, columns: list[str] | None = None) -> Iterator[pa.Table]:
        """The same, some ten thousand rows at a time."""
        with told("read", self.shown(path)), self.filesystem.open_input_file(path) as stream:
            for batch in pq.ParquetFile(stream).iter_batches(ROWS, columns=columns, use_threads=False):
                yield pa.Table.from_batches([batch])

    def files(self, path: str, suffix: str = "") -> Iterator[str]:
        """Paths of all files below ``path`` that end in ``suffix``, sorted; none when it does not exist."""
        return iter(sorted(info.path for info in self.infos(path, suffix)))

    def infos(self, path: str, suffix: str = "") -> Iterator[pafs.FileInfo]:
        """The same with sizes and times, in no order."""
        selector = pafs.FileSelector(path, recursive=True, allow_not_found=True)
        with told("list", self.shown(path)):
            infos = self.filesystem.get_file_info(selector)
        files = (info for info in infos if info.type == pafs.FileType.File and info.path.endswith(suffix))
        return (info for info in files if not info.path.rpartition("/")[2].startswith("."))

    def folders(self, path: str) -> list[str]:
        """Names of the folders right below ``path``, sorted; none when it does not exist."""
        selector = pafs.FileSelector(path, allow_not_found=True)
        with told("list", self.shown(path)):
            infos = self.filesystem.get_file_info(selector)
        return sorted(info.base_name for info in infos if info.type == pafs.FileType.Directory)

    def exists(self, path: str) -> bool:
        """Whether a file lies there."""
        with told("look for", self.shown(path)):
            return bool(self.filesystem.get_file_info(path).type == pafs.FileType.File)

    def delete(self, path: str) -> None:
        """Delete a file; no error when it is gone already."""
        with told("delete", self.shown(path)):
            fault_point("storage.delete", self.below(path))
            try:
                self.filesystem.delete_file(path)
            except FileNotFoundError:
                return

    def delete_folder(self, path: str) -> None:
        """Delete a folder and all that lies in it; no error when it is gone already."""
        with told("delete", self.shown(path)):
            fault_point("storage.delete", self.below(path))
            try:
                self.filesystem.delete_dir(path)
            except FileNotFoundError:
                return

    def shown(self, path: str) -> str:
        """The filesystem's own path as a user writes it."""
        return f"s3://{path}" if self.remote else path


def _get_object(path: str) -> bytes | None:
    """An object through boto: Arrow's client does not retry a small read that was answered with 503."""
    from botocore.exceptions import ClientError

    bucket, _, key = path.partition("/")
    try:
        return bytes(s3_client().get_object(Bucket=bucket, Key=key)["Body"].read())
    except ClientError as error:
        if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
            return None
        raise


def _writer(stream: Any, schema: pa.Schema, small: bool) -> pq.ParquetWriter:
    plain = {"compression": "snappy", "use_dictionary": False, "write_statistics": False}
    return pq.ParquetWriter(stream, schema, **(plain if small else {"compression": "zstd"}))


def _partial(path: str, data: bytes) -> Path:
    """The data, safe on disk beside a local path, under a hidden name."""
    with _durable(path) as (stream, partial):
        stream.write(data)
    return partial


@contextmanager
def _durable(path: str) -> Iterator[tuple[IO[bytes], Path]]:
    """A file beside a local path, under a hidden name; what was written is safe on disk afterwards."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        with partial.open("wb") as stream:
            yield stream, partial
            stream.flush()
            os.fsync(stream.fileno())
    except OSError:
        partial.unlink(missing_ok=True)
        raise
