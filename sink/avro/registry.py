"""Client of a schema registry with the Confluent API: time-outs, bounded retries, ids asked for once."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any, Literal
from urllib.parse import quote

import httpx
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from sink import handshake
from sink.errors import BadMessage, ConfigError, DefinitionError, TransientError

Outcome = Literal["answered", "refused", "failed"]

NEGATIVE_TTL = 45.0
"""Seconds for which an id that the registry does not know is not asked for again."""

CONNECT_TIMEOUT = 2.0
_ATTEMPTS = 2
_LARGEST_ANSWER = 2 * 1024**2
"""Bytes of an answer that are read; schemas of people have some thousands."""
_MAX_REFUSED = 10_000

_SUBJECT_UNKNOWN, _VERSION_UNKNOWN, _SCHEMA_UNKNOWN = 40401, 40402, 40403
_CONTENT_TYPE = "application/vnd.schemaregistry.v1+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryAccess:
    """Where the registry is and how to get in; ``timeout`` is in seconds, per request.

    ``ca_location`` replaces the system's certificate authorities; ``cert_location`` and ``key_location`` are the
    client's own.
    """

    urls: tuple[str, ...]
    user: str | None = None
    password: str | None = None
    ca_location: str | None = None
    cert_location: str | None = None
    key_location: str | None = None
    timeout: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A schema as it stands in the registry."""

    subject: str
    version: int
    schema_id: int
    text: str


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: Any

    @property
    def error_code(self) -> int | None:
        code = self.body.get("error_code") if isinstance(self.body, dict) else None
        return code if isinstance(code, int) else None


class Registry:
    """A schema registry; safe to share between threads.

    Every method raises TransientError while no server answers (time-out, 429, 5xx) and DefinitionError where the
    registry refuses us. ``clock`` gives monotonic seconds, ``sleep`` waits between two attempts.
    ``heard`` is told of each request.
    """

    def __init__(
        self,
        access: RegistryAccess,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        negative_ttl: float = NEGATIVE_TTL,
        heard: Callable[[Outcome], None] = lambda _: None,
    ) -> None:
        self.answered: bool | None = None
        """Whether a server answered when last asked, None before that; read on any thread."""
        self._urls = [_checked(url) for url in access.urls]
        if not self._urls:
            raise ConfigError("no registry is set; set SINK_REGISTRY__URL")
        self._http = _http(access)
        self._clock = clock
        self._negative_ttl = negative_ttl
        self._heard = heard
        self._lock = Lock()
        self._schemas: dict[int, Any] = {}
        self._refused: dict[int, tuple[float, BadMessage]] = {}
        self._retrying = Retrying(
            stop=stop_after_attempt(_ATTEMPTS),
            wait=wait_random_exponential(multiplier=0.1, max=0.5),
            retry=retry_if_exception_type(TransientError),
            sleep=sleep,
            reraise=True,
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    @property
    def cached(self) -> int:
        """How many schemas are known and not asked for again."""
        return len(self._schemas)

    def schema_by_id(self, schema_id: int) -> Any:
        """Give a schema's JSON form; an id is asked for once, an unknown one again only after a while.

        Raises BadMessage: ``unknown_schema``, or ``wrong_record`` for what is no Avro schema of its own.
        """
        known = self._schemas.get(schema_id)
        if known is not None:
            return known
        with self._lock:  # one thread asks, the others find the answer
            if schema_id in self._schemas:
                return self._schemas[schema_id]
            expiry, refusal = self._refused.get(schema_id, (0.0, None))
            if refusal is not None and self._clock() < expiry:
                raise refusal
            try:
                schema = self._schemas[schema_id] = self._ask_for(schema_id)
            except BadMessage as error:
                if len(self._refused) >= _MAX_REFUSED:
                    self._refused.clear()
                self._refused[schema_id] = (self._clock() + self._negative_ttl, error)
                raise
            return schema

    def _ask_for(self, schema_id: int) -> Any:
        answer = self._call("GET", f"/schemas/ids/{schema_id}", none_for={_SCHEMA_UNKNOWN})
        if answer is None:
            raise BadMessage("unknown_schema", f"the registry has no schema {schema_id}")
        kind = answer.get("schemaType", "AVRO")
        if kind != "AVRO":
            raise BadMessage("wrong_record", f"schema {schema_id} is {kind}, not Avro")
        if answer.get("references"):
            raise BadMessage("wrong_record", f"schema {schema_id} refers to other schemas; register it in one piece")
        try:
            return json.loads(answer["schema"])
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise BadMessage("wrong_record", f"schema {schema_id} is no JSON") from error

    def register(self, subject: str, text: str) -> int:
        """Register a schema under a subject, where it is not yet; gives its id."""
        answer = self._call("POST", f"/subjects/{_quoted(subject)}/versions", body={"schema": text})
        return int(answer["id"])

    def lookup(self, subject: str, text: str) -> Registered | None:
        """Find a schema under a subject; None where the subject has no such schema."""
        missing = {_SUBJECT_UNKNOWN, _SCHEMA_UNKNOWN}
        return _registered(self._call("POST", f"/subjects/{_quoted(subject)}", body={"schema": text}, none_for=missing))

    def latest(self, subject: str) -> Registered | None:
        """Give a subject's latest schema; None where the subject has none."""
        missing = {_SUBJECT_UNKNOWN, _VERSION_UNKNOWN}
        return _registered(self._call("GET", f"/subjects/{_quoted(subject)}/versions/latest", none_for=missing))

    def compatible(self, subject: str, text: str) -> bool:
        """Tell whether a schema may follow a subject's latest; a subject without schemas takes any."""
        path = f"/compatibility/subjects/{_quoted(subject)}/versions/latest"
        answer = self._call("POST", path, body={"schema": text}, none_for={_SUBJECT_UNKNOWN, _VERSION_UNKNOWN})
        return answer is None or bool(answer["is_compatible"])

    def compatibility(self, subject: str | None = None) -> str:
        """Give the compatibility rule of a subject or of the whole registry, for example BACKWARD or NONE."""
        answer = self._call("GET", "/config" if subject is None else f"/config/{_quoted(subject)}?defaultToGlobal=true")
        return str(answer.get("compatibilityLevel") or answer.get("compatibility"))

    def set_compatibility(self, level: str, subject: str | None = None) -> None:
        """Set the compatibility rule of a subject or of the whole registry."""
        path = "/config" if subject is None else f"/config/{_quoted(subject)}"
        self._call("PUT", path, body={"compatibility": level})

    def _call(
        self, method: str, path: str, *, body: object = None, none_for: frozenset[int] | set[int] = frozenset()
    ) -> Any:
        """Ask the registry; gives the answer's body, or None for the error codes in ``none_for``."""
        answer: _Answer = self._retrying(self._ask_each, method, path, body)
        if answer.status == httpx.codes.OK and isinstance(answer.body, dict):
            return answer.body
        if answer.error_code in none_for:
            return None
        raise _refusal(self._urls[0], answer)

    def _ask_each(self, method: str, path: str, body: object) -> _Answer:
        """Ask one server after the other until one answers; that one is asked first the next time."""
        failures = []
        for url in list(self._urls):
            try:
                response, content = self._request(method, url + path, body)
            except httpx.TransportError as error:
                self._failed()
                failures.append(f"{url}: {_cause(url, error)}")
                continue
            if response.status_code == httpx.codes.TOO_MANY_REQUESTS or response.is_server_error:
                self._failed()
                failures.append(f"{url}: answers {response.status_code}")
                continue
            self.answered = True
            self._heard("answered" if response.is_success else "refused")
            self._urls = [url, *(other for other in self._urls if other != url)]
            return _Answer(response.status_code, _json(content))
        raise TransientError(f"the schema registry cannot be asked ({'; '.join(failures)})")

    def _failed(self) -> None:
        self.answered = False
        self._heard("failed")

    def _request(self, method: str, url: str, body: object) -> tuple[httpx.Response, bytes]:
        """Ask one server; raises BadMessage (``wrong_record``) where the answer is too large to be read."""
        content = bytearray()
        with self._http.stream(method, url, json=body) as response:
            for piece in response.iter_bytes():
                content += piece
                if len(content) > _LARGEST_ANSWER:
                    raise BadMessage("wrong_record", f"the registry's answer has more than {_LARGEST_ANSWER} bytes")
        return response, bytes(content)


def _checked(url: str) -> str:
    parts = httpx.URL(url)
    if parts.scheme not in {"http", "https"} or not parts.host:
        raise ConfigError("a registry's address must start with http:// or https://")
    if parts.userinfo:
        raise ConfigError("a registry's address must hold no password; it has settings of its own")
    return url.rstrip("/")


def _http(access: RegistryAccess) -> httpx.Client:
    secured = access.ca_location is not None or any(url.lower().startswith("https:") for url in access.urls)
    try:
        # loading the system's authorities takes a while; a context without them trusts nobody
        context = (
            ssl.create_default_context(cafile=access.ca_location)
            if secured
            else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        )
        if access.cert_location is not None:
            context.load_cert_chain(access.cert_location, access.key_location)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"cannot read the registry's CA or client certificate: {error}") from error
    return httpx.Client(
        verify=context,
        auth=None if access.user is None else (access.user, access.password or ""),
        timeout=httpx.Timeout(access.timeout, connect=min(access.timeout, CONNECT_TIMEOUT)),
        headers={"Accept": f"{_CONTENT_TYPE}, application/json", "Content-Type": _CONTENT_TYPE},
    )


def _cause(url: str, error: httpx.TransportError) -> str:
    """Name what went wrong; a certificate that we do not trust will not heal, so it is raised as a definition."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            raise DefinitionError(
                f"no TLS with the schema registry {url}: {handshake.refusal(cause, httpx.URL(url).host)}; "
                "whom to trust is SINK_REGISTRY__CA_LOCATION"
            ) from error
        cause = cause.__cause__ or cause.__context__
    return f"{type(error).__name__} {error}".strip()


def _refusal(url: str, answer: _Answer) -> DefinitionError:
    message = answer.body.get("message", "") if isinstance(answer.body, dict) else ""
    if answer.status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
        return DefinitionError(
            f"registry_auth: the schema registry {url} refuses us ({answer.status}); "
            "check SINK_REGISTRY__USER and SINK_REGISTRY__PASSWORD"
        )
    if answer.error_code is None:
        return DefinitionError(
            f"{url} answers {answer.status}, but not as a schema registry; "
            "SINK_REGISTRY__URL must be the root of a Confluent API (Apicurio: .../apis/ccompat/v7)"
        )
    return DefinitionError(f"the schema registry {url} refuses ({answer.error_code}): {message}")


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _registered(answer: Any) -> Registered | None:
    if answer is None:
        return None
    return Registered(
        subject=answer["subject"], version=answer["version"], schema_id=answer["id"], text=answer["schema"]
    )


def _quoted(subject: str) -> str:
    return quote(subject, safe="")
