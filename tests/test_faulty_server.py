"""A server that is slow or faulty: each request is made again by itself, and nothing is made twice."""

import io
import random
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from faulty import FAULTS, Choose, Fault, proxied, seeded
from mlflow import MlflowClient
from mlflow.entities import Run, ViewType
from mlflow.exceptions import MlflowException
from mlflow.utils.rest_utils import MlflowHostCreds, http_request
from reading import artifacts, children, steps
from requests.adapters import HTTPAdapter
from serving import served
from tenacity import wait_none
from urllib3 import Retry

from orchestrator.errors import StoreBusyError
from orchestrator.system import stalling
from orchestrator.system.stalling import StalledError, attended
from orchestrator.trackers import resending
from orchestrator.trackers.client import ServerClient
from orchestrator.trackers.resending import ResendingAdapter, requested_wait
from orchestrator.trackers.retrying import PATIENCE_SECONDS, retry

LOG = "/api/2.0/mlflow/runs/log-batch"
CREATE = "/api/2.0/mlflow/runs/create"


class Echo(BaseHTTPRequestHandler):
    """Answers with JSON, or to GET with what it has got; keeps what it gets."""

    protocol_version = "HTTP/1.1"
    got: list[tuple[str, bytes]]

    def answer(self) -> None:
        size = int(self.headers.get("Content-Length", 0))
        self.got.append((self.path, self.rfile.read(size)))
        body = b'{"all": ["of", "it"]}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = answer  # noqa: N815

    def log_message(self, *of_a_request: object) -> None:
        pass


class Answering(HTTPAdapter):
    """Sends nothing: each request is answered so, after so many seconds; keeps how long each was to be waited for."""

    def __init__(self, status: int = 200, headers: Mapping[str, str] | None = None, seconds: float = 0.0) -> None:
        super().__init__(max_retries=Retry(0, status_forcelist=(429, 502, 503)))
        self.status, self.headers, self.seconds = status, headers or {}, seconds
        self.timeouts: list[object] = []

    def send(
        self, request: requests.PreparedRequest, stream: bool = False, timeout: object = None, *_: object
    ) -> requests.Response:
        self.timeouts.append(timeout)
        time.sleep(self.seconds)
        response = requests.Response()
        response.status_code, response.raw, response.request = self.status, io.BytesIO(b"{}"), request
        response.headers.update(self.headers)
        return response


@pytest.fixture
def echo() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """The URL of a server, and what it has got."""
    handler = type("Handler", (Echo,), {"got": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", handler.got
    server.shutdown()
    server.server_close()


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[requests.Session]:
    """A session as MLflow's, but that it does not wait between attempts."""
    monkeypatch.setattr(resending, "WAIT", wait_none())
    monkeypatch.setattr(resending, "LONGEST_REQUESTED_WAIT", 0.0)
    with requests.Session() as session:
        adapter = HTTPAdapter(max_retries=Retry(0, status_forcelist=(429, 502, 503)))
        session.mount("http://", ResendingAdapter(adapter))
        yield session


def first(*faults: Fault) -> Choose:
    """These faults, one after the other, and none after that."""
    left = iter(faults)
    return lambda number, method, path: next(left, None)


def at(path: str, *faults: Fault) -> Choose:
    """The same for requests of a path alone, or of what begins so."""
    left = iter(faults)
    return lambda number, method, asked: next(left, None) if asked.startswith(path) else None


BY_NAME = {fault.name: fault for fault in FAULTS}


@pytest.mark.parametrize("name", sorted(BY_NAME.keys() - {"late"}))
def test_a_request_that_fails_is_made_again(
    echo: tuple[str, list[tuple[str, bytes]]], session: requests.Session, name: str
) -> None:
    with proxied(echo[0], first(BY_NAME[name], BY_NAME[name])) as proxy:
        assert session.post(proxy.url + LOG, data=b"points").json() == {"all": ["of", "it"]}
        assert proxy.faults == {name: 2, "none": 1}


def test_what_always_fails_is_given_up_with_the_last_answer(
    echo: tuple[str, list[tuple[str, bytes]]], session: requests.Session
) -> None:
    url, got = echo
    with proxied(url, lambda *_: BY_NAME["502"]) as proxy:
        response = session.post(proxy.url + LOG)
        assert (response.status_code, response.content) == (502, b"a faulty proxy")
        assert proxy.faults == {"502": resending.ATTEMPTS}
    assert got == []


def test_a_file_that_is_sent_again_is_sent_whole(
    echo: tuple[str, list[tuple[str, bytes]]], session: requests.Session, tmp_path: Path
) -> None:
    url, got = echo
    path = tmp_path / "file"
    path.write_bytes(b"from the beginning")
    with proxied(url, first(Fault("502, done all the same", status=502))) as proxy, path.open("rb") as file:
        session.put(proxy.url + "/artifacts/file", data=file)
    assert [body for _, body in got] == [b"from the beginning"] * 2


def test_a_file_that_is_cut_as_it_is_downloaded_is_read_again(
    echo: tuple[str, list[tuple[str, bytes]]], session: requests.Session
) -> None:
    with proxied(echo[0], first(Fault("cut", kept=0.5))) as proxy:
        response = session.get(proxy.url + "/artifacts/file", stream=True)
        assert b"".join(response.iter_content(4)) == b'{"all": ["of", "it"]}'


@pytest.mark.parametrize("page", [b"<html>maintenance</html>", b'{"run": {"info"', b""])
def test_a_page_that_is_no_answer_of_mlflow_is_not_taken_for_one(
    session: requests.Session, monkeypatch: pytest.MonkeyPatch, page: bytes
) -> None:
    """Where the end of the connection alone tells the end of an answer, a cut one looks whole."""

    class Page(Echo):
        protocol_version = "HTTP/1.0"

        def answer(self) -> None:
            self.got.append((self.path, b""))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(page if len(self.got) < 3 else b"{}")

        do_POST = answer  # noqa: N815

    handler = type("Handler", (Page,), {"got": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        assert session.post(f"http://127.0.0.1:{server.server_port}{LOG}").json() == {}
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("name", "attempts"),
    [("502, done all the same", 1), ("lost, done all the same", 1), ("cut", 1), ("503", 1), ("429", 3)],
)
def test_what_must_not_be_done_twice_is_sent_again_only_where_it_was_refused(
    echo: tuple[str, list[tuple[str, bytes]]], session: requests.Session, name: str, attempts: int
) -> None:
    with proxied(echo[0], first(BY_NAME[name], BY_NAME[name])) as proxy:
        with suppress(requests.RequestException):
            session.post(proxy.url + CREATE)
        assert proxy.faults.total() == attempts


def test_a_certificate_that_is_not_trusted_is_asked_for_once(session: requests.Session, tmp_path: Path) -> None:
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")]), datetime.now(UTC)
    key, certificate = ec.generate_private_key(ec.SECP256R1()), tmp_path / "own.pem"
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1)).sign(
        key, hashes.SHA256()
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    certificate.write_bytes(made.public_bytes(Encoding.PEM) + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    asked = []

    def answer(listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                asked.append(connection)
                with suppress(OSError), context.wrap_socket(connection, server_side=True):
                    pass

    session.mount("https://", session.get_adapter("http://"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        Thread(target=answer, args=(listening,), daemon=True).start()
        with pytest.raises(requests.exceptions.SSLError):
            session.get(f"https://127.0.0.1:{listening.getsockname()[1]}/api/2.0/mlflow/runs/get")
    assert len(asked) == 1


def test_nobody_there_is_soon_said(session: requests.Session) -> None:
    with pytest.raises(requests.ConnectionError, match="refused"):
        session.post("http://127.0.0.1:9" + LOG)


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ("3", 3.0),
        ("86400", 60.0),
        ("9" * 400, 60.0),
        ("soon", 0.0),
        ("-5", 0.0),
        ("", 0.0),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 0.0),
        ("Fri, 31 Dec 2999 23:59:59 GMT", 60.0),
    ],
)
def test_a_server_is_left_alone_for_as_long_as_it_asks_but_not_for_ever(asked: str, seconds: float) -> None:
    response = requests.Response()
    response.headers["Retry-After"] = asked
    assert requested_wait(response) == seconds


class Clock:
    """Stands for the module `time`: nobody waits, and what they would have waited is kept."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def monotonic(self) -> float:
        return sum(self.slept)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in ("orchestrator.trackers.resending", "tenacity", "tenacity.nap"):
        monkeypatch.setattr(f"{module}.time", clock)
    return clock


def test_what_a_server_asks_for_is_waited_for(clock: Clock) -> None:
    adapter = Answering(503, {"Retry-After": "7"})
    request = requests.Request("POST", f"http://there{LOG}").prepare()
    assert ResendingAdapter(adapter).send(request).status_code == 503
    assert len(adapter.timeouts) == clock.slept.count(7.0) == 5  # in so many it has taken more than SECONDS
    assert resending.SECONDS < sum(clock.slept) < resending.SECONDS + 20


def test_waits_between_attempts_grow_and_are_at_random(clock: Clock) -> None:
    """So that many launches do not come back to a server all at once."""
    request = requests.Request("POST", f"http://there{LOG}").prepare()
    waits = []
    for _ in range(30):
        clock.slept.clear()
        ResendingAdapter(Answering(502)).send(request)
        waits.append([seconds for seconds in clock.slept if seconds])
    assert all(len(one) == resending.ATTEMPTS - 1 for one in waits)
    by_attempt = [sorted(of_attempt) for of_attempt in zip(*waits, strict=True)]
    assert all(len({*seconds}) > 20 for seconds in by_attempt)
    assert all(seconds[-1] <= min(3.0, 0.1 * 2**number) for number, seconds in enumerate(by_attempt))
    assert by_attempt[0][-1] <= 0.1 < 1.0 < by_attempt[-1][-1]
    assert sum(map(sum, waits)) / len(waits) > 3.0  # seconds in which a server may come back


def test_a_store_that_is_busy_is_asked_after_growing_waits_until_its_patience_is_over(clock: Clock) -> None:
    asked = []

    def busy() -> None:
        asked.append(clock.monotonic())
        raise StoreBusyError("busy")

    with pytest.raises(StoreBusyError):
        retry(busy)
    assert clock.slept[:7] == [0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
    assert PATIENCE_SECONDS <= asked[-1] < PATIENCE_SECONDS + 5.0


UPLOAD = "/api/2.0/mlflow-artifacts/artifacts/0/run/artifacts/weights.pt"


@pytest.mark.parametrize(
    ("method", "path", "size", "seconds"),
    [
        ("PUT", UPLOAD, 10, 120.0),
        ("PUT", "/bucket/part?signature=1", 10, 120.0),
        ("PUT", UPLOAD, 5 * 2**30, 120.0 + 1024.0),
        ("POST", UPLOAD.replace("artifacts/artifacts", "artifacts/mpu/complete"), 10, 120.0),
        ("POST", LOG, 10**6, 30.0),
        ("GET", UPLOAD, 0, 30.0),
    ],
)
def test_a_file_may_take_a_server_longer_than_other_calls(
    monkeypatch: pytest.MonkeyPatch, method: str, path: str, size: int, seconds: float
) -> None:
    adapter = Answering()
    request = requests.Request(method, f"http://there{path}").prepare()
    request.headers["Content-Length"] = str(size)
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_TIMEOUT", raising=False)
    ResendingAdapter(adapter).send(request, timeout=30.0)
    assert adapter.timeouts == [pytest.approx(seconds, rel=1e-6, abs=1e-3)]
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "7")  # is the user's word
    ResendingAdapter(adapter).send(request, timeout=7.0)
    assert adapter.timeouts[1] == 7.0


@pytest.mark.parametrize(("method", "is_given_up"), [("PUT", False), ("POST", True)])
def test_an_upload_that_a_server_is_slow_to_answer_is_not_taken_for_a_stall(
    monkeypatch: pytest.MonkeyPatch, method: str, *, is_given_up: bool
) -> None:
    monkeypatch.setattr(stalling, "STALLED_SECONDS", 0.3)
    monkeypatch.setattr(stalling, "SECONDS_BETWEEN_LOOKS", 0.1)
    monkeypatch.setattr(stalling, "_awake", dict)  # nothing moves
    adapter = Answering(seconds=1.0)
    request = requests.Request(method, f"http://there{LOG}").prepare()
    send = partial(ResendingAdapter(adapter).send, request)
    if is_given_up:
        with pytest.raises(StalledError):
            attended(send)
    else:
        assert attended(send).status_code == 200


def test_mlflows_own_requests_are_sent_so(echo: tuple[str, list[tuple[str, bytes]]]) -> None:
    with proxied(echo[0], first(Fault("503", arrives=False, status=503))) as proxy:
        assert http_request(MlflowHostCreds(proxy.url), LOG, "POST").ok
        assert proxy.faults == {"503": 1, "none": 1}


def test_the_faults_of_a_seed_are_the_same_and_no_more_than_asked_for() -> None:
    first, again, other = ([seeded(seed)(n, "GET", "/") for n in range(1, 1001)] for seed in (1, 1, 2))
    assert first == again != other
    assert 200 < sum(fault is not None for fault in first) < 300
    assert {fault.name for fault in first if fault} == BY_NAME.keys()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, postgresql: Callable[[], str]) -> Iterator[str]:
    with served(postgresql(), tmp_path_factory.mktemp("server")) as url:
        yield url


Launch = Callable[..., "subprocess.CompletedProcess[str]"]
TOY = "trial: toys:train\nmetric: {name: score, goal: maximize}\n"


def runs_of(url: str, name: str) -> list[Run]:
    """All runs of a sweep, those in the trash, too."""
    client = MlflowClient(url)
    experiment = client.get_experiment_by_name(name)
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id], run_view_type=ViewType.ALL))


@pytest.mark.slow
def test_a_sweep_of_which_a_quarter_of_all_requests_fail_is_as_any_other(
    server: str, write: Callable[..., Path], command: Launch
) -> None:
    path = write(TOY + "parameters: {x: {values: [1, 2, 3]}, seed: {values: [0, 1]}}", "quarter.yaml")
    with proxied(server, seeded(3)) as proxy:
        done = command("launch", path, "--tracking-uri", proxy.url)
        assert sum(proxy.faults[fault.name] for fault in FAULTS) > 10
    assert done.returncode == 0, done.stderr
    assert {(run.info.status, run.info.lifecycle_stage) for run in runs_of(server, "quarter")} == {
        ("FINISHED", "active")
    }
    runs = children(server, "quarter")
    assert len(runs) == 6
    for run in runs:
        assert steps(server, run, "train_loss") == [1, 2, 3]
        assert artifacts(server, run) == {"log.txt", "note.txt"}


@pytest.mark.slow
def test_runs_whose_making_is_answered_too_late_exist_once(
    server: str, write: Callable[..., Path], command: Launch
) -> None:
    path = write(TOY + "parameters: {x: {values: [1, 2]}}", "late.yaml")
    late = [Fault("late", seconds=3.0)] * 2  # of the parent, and of the first trial
    with proxied(server, at(CREATE, *late)) as proxy:
        done = command("launch", path, "--tracking-uri", proxy.url, MLFLOW_HTTP_REQUEST_TIMEOUT="2")
        assert proxy.faults["late"] == 2
    assert done.returncode == 0, done.stderr
    assert [run.info.status for run in runs_of(server, "late")] == ["FINISHED"] * 3


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(BY_NAME.keys() - {"late"}))
def test_what_is_made_or_deleted_once_is_so_whatever_happens_to_the_request(
    server: str, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(resending, "LONGEST_REQUESTED_WAIT", 0.1)
    with proxied(server, lambda number, *_: BY_NAME[name] if random.Random(number).random() < 0.5 else None) as proxy:
        client = ServerClient(proxy.url)
        experiment = client.create_experiment(name)
        run = client.create_run(experiment, tags={"trial_key": "k"}, run_name="x=1").info.run_id
        client.set_experiment_tag(experiment, "holder", "me")
        client.set_tag(run, "outcome", "interrupted")
        client.delete_experiment_tag(experiment, "holder")
        client.delete_tag(run, "outcome")
        assert proxy.faults[name] > 3
    (found,) = runs_of(server, name)
    assert found.info.run_id == run
    assert "outcome" not in found.data.tags


@pytest.mark.slow
def test_what_is_refused_for_good_is_not_asked_for_again(server: str) -> None:
    with proxied(server, lambda *_: None) as proxy:
        client = ServerClient(proxy.url)
        client.create_experiment("there")
        for call in (
            lambda: client.create_experiment("there"),
            lambda: client.create_run("12345"),
            lambda: client.delete_experiment_tag("0", "never set"),
        ):
            with pytest.raises(MlflowException):
                call()
        assert proxy.faults == {"none": 4}
