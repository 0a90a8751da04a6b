"""Requests to an MLflow server, each of which is sent again by itself where it fails.

MLflow has retries of its own, which stay off: they make a run twice where an answer is lost, do not notice that an
answer was cut in its middle, and wait as long as a server asks for, be it hours.
"""

import re
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import partial
from http import HTTPStatus
from threading import Lock
from typing import Any

import requests
from mlflow.environment_variables import MLFLOW_HTTP_REQUEST_TIMEOUT
from mlflow.utils import request_utils
from requests import PreparedRequest, Response, Session
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.exceptions import ChunkedEncodingError
from requests.utils import rewind_body
from tenacity import RetryCallState, Retrying, retry_if_exception, retry_if_result, wait_random_exponential
from urllib3 import Retry
from urllib3.exceptions import InvalidHeader, NewConnectionError, ReadTimeoutError

from orchestrator.system.stalling import slow_for

ATTEMPTS = 8  # where the user has not set MLFLOW_HTTP_REQUEST_MAX_RETRIES
ATTEMPTS_TO_CONNECT = 4  # where nobody is there, which is soon said
SECONDS = 30.0  # after which no request is sent a third time
LONGEST_REQUESTED_WAIT = 60.0  # seconds that a server may ask for
LONGEST_SHORT_WAIT = 1.0  # the same for what others watch
LARGEST_WHOLE = 64 * 2**20  # bytes of a file that is read at once, so that a cut is noticed here
SECONDS_OF_AN_UPLOAD = 120.0  # for an answer to a file, as MLflow's own default is: a server may first pass it on
SLOWEST_UPLOAD = 5 * 2**20  # bytes a second, at which it does so
_is_short_of_time = ContextVar("is_short_of_time", default=False)
WAIT = wait_random_exponential(multiplier=0.1, max=3)
# made twice, or no longer there for the second request: `ServerClient` looks before it repeats these
ONCE = re.compile(r"/mlflow/((runs|experiments)/create|runs/delete-tag|experiments/delete-experiment-tag)$")
ONCE_DELETED = re.compile(r"/mlflow/logged-models/[^/]+$")


class ResendingAdapter(BaseAdapter):
    """Sends requests by another adapter, again and again with growing waits at random, until one is answered.

    What is answered late is left to the caller: the server may still be at it.
    """

    def __init__(self, adapter: HTTPAdapter) -> None:
        super().__init__()
        self._adapter = adapter
        self._faults = frozenset(adapter.max_retries.status_forcelist or ())
        self._attempts = 1 + (adapter.max_retries.total or ATTEMPTS - 1)
        adapter.max_retries = Retry(0, read=False)

    def send(
        self,
        request: PreparedRequest,
        stream: bool = False,
        timeout: float | tuple[float | None, float | None] | None = None,
        verify: bool | str = True,
        cert: str | tuple[str, str] | None = None,
        proxies: dict[str, str] | None = None,
    ) -> Response:
        """The answer to a request; where all fail, that of the last, whatever it says.

        Raises:
            RequestException: there was none.
        """
        resending = Retrying(
            retry=retry_if_result(self._is_fault) | retry_if_exception(_is_passing),
            stop=lambda state: self._is_enough(request, state),
            wait=WAIT,
            retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
        )
        if _is_upload(request) and not MLFLOW_HTTP_REQUEST_TIMEOUT.is_set():
            timeout = seconds_of_upload(request)
        send = partial(self._adapter.send, request, stream, timeout, verify, cert, proxies)
        return resending(self._sent, request, stream, send)

    def close(self) -> None:
        """Close what is open to servers."""
        self._adapter.close()

    def _sent(self, request: PreparedRequest, stream: bool, send: Callable[[], Response]) -> Response:
        if request._body_position is not None:  # of a file, which an attempt before has read
            rewind_body(request)
        with slow_for(seconds_of_upload(request) if _is_upload(request) else 0.0):
            response = send()
        if self._is_fault(response):
            _ = response.content  # so that the connection can be used again
            time.sleep(requested_wait(response))
        elif not stream or _is_small(response):
            _check_whole(response)
        return response

    def _is_fault(self, response: Response) -> bool:
        return response.status_code in self._faults

    def _is_enough(self, request: PreparedRequest, state: RetryCallState) -> bool:
        if state.outcome is None or (state.attempt_number > 1 and (state.seconds_since_start or 0.0) > SECONDS):
            return True
        error = state.outcome.exception()
        if error is not None and _is_unreachable(error):
            return state.attempt_number >= min(ATTEMPTS_TO_CONNECT, self._attempts)
        is_refused = error is None and state.outcome.result().status_code == HTTPStatus.TOO_MANY_REQUESTS
        return state.attempt_number >= self._attempts or (_is_for_once(request) and not is_refused)


def install() -> None:
    """Have all of MLflow's requests from this process sent so."""
    made, lock = request_utils._cached_get_request_session, Lock()

    def resending_session(*how: Any, **named: Any) -> Session:
        with lock:
            session: Session = made(*how, **named)
            adapter = session.get_adapter("http://")
            if isinstance(adapter, HTTPAdapter):  # made just now
                resending = ResendingAdapter(adapter)
                session.mount("http://", resending)
                session.mount("https://", resending)
            return session

    request_utils._cached_get_request_session = resending_session  # type: ignore[assignment]


@contextmanager
def without_long_waits() -> Iterator[None]:
    """Have a server that asks to be left alone for long asked again soon, in this thread, while the block runs."""
    before = _is_short_of_time.set(True)
    try:
        yield
    finally:
        _is_short_of_time.reset(before)


def requested_wait(response: Response) -> float:
    """How many seconds a server asks to be left alone, as far as that is heard."""
    longest = LONGEST_SHORT_WAIT if _is_short_of_time.get() else LONGEST_REQUESTED_WAIT
    with suppress(InvalidHeader, OverflowError, ValueError):
        return min(Retry().parse_retry_after(response.headers.get("Retry-After", "0")), longest)
    return 0.0


def seconds_of_upload(request: PreparedRequest) -> float:
    """How long an answer to a file that is sent may take, by its size."""
    return SECONDS_OF_AN_UPLOAD + int(request.headers.get("Content-Length", 0)) / SLOWEST_UPLOAD


def _is_upload(request: PreparedRequest) -> bool:
    """Whether a file is sent, to MLflow's server or where that says."""
    return request.method == "PUT" or (request.method == "POST" and "/mlflow-artifacts/" in request.path_url)


def _is_small(response: Response) -> bool:
    size = response.headers.get("Content-Length", "")
    return size.isdecimal() and int(size) <= LARGEST_WHOLE


def _check_whole(response: Response) -> None:
    """Read an answer to its end.

    Raises:
        RequestException: it is cut, or none of MLflow's.
    """
    content, path = response.content, response.request.path_url.partition("?")[0]
    if not (response.ok and "/api/" in path and "/mlflow/" in path):
        return
    if not content and response.headers.get("Content-Length") == "0":
        return
    try:
        response.json()
    except ValueError as error:
        raise ChunkedEncodingError(f"the answer to {path} is cut, or not one of MLflow", response=response) from error


def _is_passing(error: BaseException) -> bool:
    """Whether a request failed such that the next may not."""
    is_late = isinstance(error, requests.Timeout) or any(isinstance(cause, ReadTimeoutError) for cause in error.args)
    is_passing = isinstance(error, (requests.ConnectionError, ChunkedEncodingError)) and not is_late
    return is_passing and not _is_untrusted(error)


def _is_untrusted(error: BaseException) -> bool:
    """Whether the server has a certificate that is not trusted, however often it is asked."""
    reasons = (getattr(cause, "reason", None) for cause in error.args)
    return any(
        isinstance(cause, ssl.SSLCertVerificationError) for reason in reasons for cause in getattr(reason, "args", ())
    )


def _is_unreachable(error: BaseException) -> bool:
    """Whether there was no connection, so that the server has not got the request."""
    return any(isinstance(getattr(cause, "reason", None), NewConnectionError) for cause in error.args)


def _is_for_once(request: PreparedRequest) -> bool:
    path = (request.path_url or "").partition("?")[0]
    return bool(ONCE.search(path) or (request.method == "DELETE" and ONCE_DELETED.search(path)))
