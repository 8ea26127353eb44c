"""The pages as bare answers: who sees what, which headers, and what a browser is refused."""

import base64
import hashlib
import json
import re
import struct
import zlib
from http.cookies import SimpleCookie
from urllib.parse import parse_qsl, urlsplit

import pytest

from axonlab_core.contract.events import Event, LogEvent, MetricEvent, ProgressEvent, StateEvent, StepEvent
from axonlab_core.contract.states import JobState
from axonlab_hub.pages import words
from axonlab_hub.pages.login import _own_path
from axonlab_hub.pages.session import COOKIE, Session, Sessions
from axonlab_hub.pages.timeline import Timeline
from axonlab_hub.secrets_folder import kept_secret

from .conftest import MACHINE, quick_settings, running_service

HOME = "/services/axonlab/"
SAME = {"Sec-Fetch-Site": "same-origin"}


def png(width=2, height=2):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"\0\0\0" * 2)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


class Visitor:
    """A browser in which somebody has logged in."""

    def __init__(self, service, name, session_id="s1"):
        self.service = service
        self.sessions = Sessions(service.settings, kept_secret(service.settings.link_secret_file))
        session = Session(id=session_id, token=name)
        self.form_token = self.sessions.form_token(session)
        self.cookie = self.sessions.seal(session.model_dump_json(), COOKIE)

    def get(self, path="", **headers):
        return self.service.client.get(HOME + path, headers={"Cookie": f"{COOKIE}={self.cookie}", **headers})

    def post(self, path, headers=SAME, **form):
        fields = {"form_token": self.form_token} | form
        cookie = {"Cookie": f"{COOKIE}={self.cookie}"}
        return self.service.client.post(HOME + path, data=fields, headers=cookie | headers)


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    settings = quick_settings(tmp_path_factory.mktemp("pages")).model_copy(update={"request_burst": 10_000})
    with running_service(settings) as running:
        yield running


@pytest.fixture(scope="module")
def ana(service):
    return Visitor(service, "ana")


@pytest.fixture(scope="module")
def tea(service):
    return Visitor(service, "tea")


REPORT = b"<!doctype html><title>Report</title><script>alert(1)</script>"


@pytest.fixture(scope="module")
def done(service):
    """A job of ana's with pictures, and with what only calls itself one."""
    job = service.submit(course="axons", name="first")
    files = {
        "model/model.safetensors": b"model",
        "overlays/a.overlay.png": png(),
        "overlays/fake.png": b"<script>alert(1)</script>" * 10,
        "overlays/huge.png": png(width=10**6),
        "executed.ipynb": b"{}",
        "qc/report.html": REPORT,
    }
    service.succeed(job, files)
    return job


# -- who gets in -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["", "?state=queued", "jobs/abcdefgh", "courses/axons", "jobs/abcdefgh/files/a"])
def test_no_page_without_login(service, path):
    answer = service.client.get(HOME + path)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(f"{HOME}login?then=")
    assert "set-cookie" not in answer.headers


def test_a_script_without_login_gets_no_redirect(service):
    answer = service.client.get(f"{HOME}jobs/abcdefgh/live", headers={"Sec-Fetch-Dest": "empty"})
    assert answer.status_code == 401


@pytest.mark.parametrize("cookie", ["", "nonsense", "é".encode().decode("latin-1"), "x" * 4000])
def test_a_cookie_that_is_not_ours_is_no_login(service, cookie):
    answer = service.client.get(HOME, headers={"Cookie": f"{COOKIE}={cookie}".encode("latin-1")})
    assert answer.status_code == 303


def test_a_cookie_made_for_something_else_is_no_login(service, ana):
    sealed = ana.sessions.seal(Session(id="s", token="ana").model_dump_json(), "axonlab-login")
    assert service.client.get(HOME, headers={"Cookie": f"{COOKIE}={sealed}"}).status_code == 303


def test_a_session_ends(service, ana, monkeypatch):
    import time

    assert ana.get().status_code == 200
    later = time.time() + service.settings.session_hours * 3600 + 1
    monkeypatch.setattr(time, "time", lambda: later)
    assert ana.get().status_code == 303


def test_a_token_that_the_hub_no_longer_knows(service):
    assert Visitor(service, "revoked").get().status_code == 303


@pytest.mark.parametrize("name", ["ana-no-access", "ana-no-submit", "runner"])
def test_a_token_without_the_scopes_opens_nothing(service, name):
    answer = Visitor(service, name).get()
    assert answer.status_code == 403
    assert answer.headers["content-type"].startswith("text/html")


def test_a_hubs_token_opens_no_page(service):
    assert service.client.get(HOME, headers={"Authorization": "Bearer ana"}).status_code == 303


def test_a_cookie_opens_no_call_of_the_api(ana):
    assert ana.get("api/v1/jobs").status_code == 401


def test_without_a_hub_there_is_no_login(service):
    answer = service.client.get(f"{HOME}login")
    assert answer.status_code == 503
    assert "not started by a hub" in answer.text


@pytest.fixture(scope="module")
def with_hub(tmp_path_factory):
    """A service that was started by a hub, which is away."""
    settings = quick_settings(tmp_path_factory.mktemp("login")).model_copy(
        update={
            "oauth_client_id": "service-axonlab",
            "oauth_client_secret": "s3cret",
            "oauth_callback_url": f"{HOME}oauth_callback",
            "hub_base_url": "/base/",
            "hub_api_url": "http://127.0.0.1:9/hub/api",
        }
    )
    with running_service(settings) as running:
        yield running


@pytest.mark.parametrize("proto", ["http", "https"])
def test_a_login_begins_at_the_hub(with_hub, proto):
    answer = with_hub.client.get(f"{HOME}login?then={HOME}jobs/abc", headers={"X-Forwarded-Proto": proto})
    assert answer.status_code == 303
    url = urlsplit(answer.headers["location"])
    asked = dict(parse_qsl(url.query))
    assert url.path == "/base/hub/api/oauth2/authorize"
    assert not url.netloc
    assert asked["response_type"] == "code"
    assert asked["redirect_uri"] == f"{HOME}oauth_callback"
    assert asked["code_challenge_method"] == "S256"
    cookie = SimpleCookie(answer.headers["set-cookie"])
    ((name, kept),) = cookie.items()
    begun = json.loads(
        Sessions(with_hub.settings, kept_secret(with_hub.settings.link_secret_file)).unseal(
            kept.value, "axonlab-login", lifetime_s=60
        )
    )
    digest = base64.urlsafe_b64encode(hashlib.sha256(begun["verifier"].encode()).digest()).decode().rstrip("=")
    assert asked["code_challenge"] == digest
    assert begun["state"] == asked["state"]
    assert begun["then"] == f"{HOME}jobs/abc"
    for secret in (begun["verifier"], "s3cret"):
        assert secret not in str(answer.headers)
    assert kept["httponly"]
    assert kept["samesite"] == "lax"
    assert kept["path"] == f"{HOME}oauth_callback"
    assert bool(kept["secure"]) == (proto == "https")
    assert int(kept["max-age"]) <= 600

    sent = {"Cookie": f"{name}={kept.value}"}
    other = with_hub.client.get(f"{HOME}oauth_callback?code=c&state={'y' * 32}", headers=sent)
    assert other.status_code == 403, "another state than the browser's own"
    refused = with_hub.client.get(f"{HOME}oauth_callback?error=denied&state={begun['state']}", headers=sent)
    assert refused.status_code == 401
    away = with_hub.client.get(f"{HOME}oauth_callback?code=c&state={begun['state']}", headers=sent)
    assert away.status_code == 503
    assert "The hub does not answer" in away.text
    for answer in (other, refused, away):
        assert COOKIE not in answer.headers.get("set-cookie", "")


@pytest.mark.parametrize("state", ["", "x", "x" * 200])
def test_a_login_that_was_not_begun_here(service, state):
    answer = service.client.get(f"{HOME}oauth_callback?code=c&state={state}")
    assert answer.status_code == 403
    assert COOKIE not in answer.headers.get("set-cookie", "")


@pytest.mark.parametrize(
    "then",
    ["", "//evil.test/", "https://evil.test/services/axonlab/", "/hub/home", "/services/axonlab/../../hub", "\\\\evil",
     "/services/axonlab/\r\nX: y", "javascript:alert(1)", "/services/axonlabé/"],
)  # fmt: skip
def test_after_the_login_one_stays_here(then):
    assert _own_path(then, HOME) == HOME


def test_after_the_login_one_is_where_one_wanted_to_be():
    assert _own_path(f"{HOME}jobs/abc?x=1", HOME) == f"{HOME}jobs/abc?x=1"


# -- pages -----------------------------------------------------------------------------------------------


def test_every_page_has_its_headers(ana, done):
    for path in ("", f"jobs/{done['id']}", "jobs/abcdefgh", f"jobs/{done['id']}/live", "nothing/here"):
        answer = ana.get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert not re.search(r"<script(?![^>]*src=)|\son\w+=|\sstyle=|<style|https?://", answer.text), path


def test_a_page_cannot_be_fetched_by_a_script(ana, done):
    for dest in ("empty", "iframe", "object", "embed"):
        answer = ana.get(f"jobs/{done['id']}", **{"Sec-Fetch-Dest": dest})
        assert answer.status_code == 403
        assert ana.form_token not in answer.text


def test_a_list_by_state_and_page_by_page(service):
    cat = Visitor(service, "cat")
    made = []
    for number in range(27):
        service.clock.forward(1)
        made.append(service.submit(token="cat", course="axons", name=f"n{number:02}")["id"])
    page = cat.get().text
    assert page.count('scope="row"') == 25
    older = re.search(r'href="(\?[^"]+)" rel="next"', page).group(1)
    page = cat.get(older.replace("&amp;", "&")).text
    assert [made.index(found) for found in re.findall(r"jobs/(\w+)\"", page)] == [1, 0]
    assert "Newest" in page
    assert "There are no jobs here that match" in cat.get("?state=failed&kind=&assignment=").text
    assert cat.get("?state=queued&state=running").text.count('scope="row"') == 25
    for wrong in ("?state=odd", "?limit=0", "?before=nobody00", "?nonsense=1", "?owner=ana"):
        answer = cat.get(wrong)
        assert answer.status_code in {403, 404, 422}
        assert answer.headers["content-type"].startswith("text/html")


def test_staff_see_their_course_and_students_do_not(service, ana, tea, done):
    page = tea.get("courses/axons")
    assert page.status_code == 200
    assert f"jobs/{done['id']}" in tea.get("courses/axons?owner=ana&state=succeeded").text
    assert f"jobs/{done['id']}" not in tea.get("courses/axons?owner=ben").text
    assert "No runner has asked" in page.text
    service.ok("POST", "runner/next", token="runner", body={"capabilities": MACHINE})
    assert '<th scope="row">here</th>' in tea.get("courses/axons").text
    for path in ("courses/axons", "courses/other", "courses/a%20b"):
        assert ana.get(path).status_code in {404, 422}
    assert tea.get("courses/nerves").status_code == 404
    assert "Course axons" in tea.get().text
    assert "Course axons" not in ana.get().text


def test_somebody_elses_job_is_not_there(service, done):
    ben = Visitor(service, "ben")
    for path in ("", "/live", "/files/executed.ipynb", "/pictures/overlays/a.overlay.png"):
        assert ben.get(f"jobs/{done['id']}{path}").status_code == 404
    for verb in ("cancel", "resubmit"):
        assert ben.post(f"jobs/{done['id']}/{verb}", key="a").status_code == 404


def test_pages_count_against_the_rate(tmp_path):
    settings = quick_settings(tmp_path).model_copy(update={"requests_per_s": 0.001, "request_burst": 2})
    with running_service(settings) as running:
        ana = Visitor(running, "ana")
        assert [ana.get().status_code for _ in range(3)] == [200, 200, 429]


# -- files -----------------------------------------------------------------------------------------------


def test_a_file_comes_by_a_fresh_link(service, ana, done):
    answer = ana.get(f"jobs/{done['id']}/files/model/model.safetensors")
    assert answer.status_code == 303
    link = answer.headers["location"]
    assert link.startswith(f"{HOME}api/v1/storage?permit=")
    assert service.client.get(link).content == b"model"
    assert ana.get(f"jobs/{done['id']}/files/model/other").status_code == 404


def test_a_picture_is_a_picture_and_nothing_else(ana, done):
    answer = ana.get(f"jobs/{done['id']}/pictures/overlays/a.overlay.png")
    assert answer.content == png()
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("sandbox;")
    for path in ("overlays/fake.png", "overlays/huge.png", "executed.ipynb", "model/model.safetensors"):
        answer = ana.get(f"jobs/{done['id']}/pictures/{path}")
        assert answer.status_code == 422, path
        assert "<script>alert" not in answer.text
    assert ana.get(f"jobs/{done['id']}/pictures/overlays/none.png").status_code == 404


def test_the_report_is_a_page_that_can_do_nothing(service, ana, done):
    answer = ana.get(f"jobs/{done['id']}/report")
    assert answer.content == REPORT
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox; default-src 'none';"), "no scripts, no origin, nothing from elsewhere"
    assert "frame-ancestors 'none'" in policy
    assert "allow" not in policy
    assert "script-src" not in policy
    assert f'href="{HOME}jobs/{done["id"]}/report"' in ana.get(f"jobs/{done['id']}").text
    assert Visitor(service, "ben").get(f"jobs/{done['id']}/report").status_code == 404
    without = service.submit(course="axons", name="without a report")
    assert ana.get(f"jobs/{without['id']}/report").status_code == 404
    assert "/report" not in ana.get(f"jobs/{without['id']}").text


def test_static_files_are_kept_by_their_version(service, ana):
    page = ana.get().text
    for address in re.findall(r'(?:href|src)="([^"]+\?v=[0-9a-f]+)"', page):
        answer = service.client.get(address)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    assert service.client.get(f"{HOME}static/style.css").headers["cache-control"] == "no-cache"
    for name in ("..%2fsession.py", "session.py", "none.css"):
        assert service.client.get(f"{HOME}static/{name}").status_code == 404


# -- forms -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://evil.test"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.test"},
    ],
)
def test_a_form_from_elsewhere_is_refused(service, ana, headers):
    job = service.submit(course="axons")
    assert ana.post(f"jobs/{job['id']}/cancel", headers=headers).status_code == 403
    assert service.ok("GET", f"jobs/{job['id']}", token="ana")["state"] == "queued"


def test_a_form_of_another_session_is_refused(service, ana):
    job = service.submit(course="axons")
    for token in ("", "0" * 64, "é", Visitor(service, "ana", "s2").form_token):
        assert ana.post(f"jobs/{job['id']}/cancel", form_token=token).status_code == 403
        assert ana.post("logout", form_token=token).status_code == 403
    cookie = {"Cookie": f"{COOKIE}={ana.cookie}", "Content-Type": "application/json", **SAME}
    answer = service.client.post(f"{HOME}jobs/{job['id']}/cancel", headers=cookie, content=b"{}")
    assert answer.status_code == 422
    assert service.ok("GET", f"jobs/{job['id']}", token="ana")["state"] == "queued"
    assert ana.get(f"jobs/{job['id']}/cancel").status_code == 405


def test_cancel_and_submit_again(service, ana):
    job = service.submit(course="axons")
    early = ana.post(f"jobs/{job['id']}/resubmit", key="abc")
    assert early.status_code == 409
    assert "Wait until it is over" in early.text
    origin = {"Origin": str(service.client.base_url)}
    answer = ana.post(f"jobs/{job['id']}/cancel", headers=origin)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{HOME}jobs/{job['id']}")
    assert service.states(job["id"]) == ["queued", "cancelled"]
    twice = [ana.post(f"jobs/{job['id']}/resubmit", key="abc").headers["location"] for _ in range(2)]
    assert twice[0] == twice[1] != f"{HOME}jobs/{job['id']}"
    assert ana.post(f"jobs/{job['id']}/resubmit", key="../x").status_code == 409


def test_staff_look_but_do_not_touch(service, tea):
    job = service.submit(course="axons")
    page = tea.get(f"jobs/{job['id']}")
    assert page.status_code == 200
    assert "Cancel this job" not in page.text
    assert tea.post(f"jobs/{job['id']}/cancel").status_code == 403


def test_log_out(ana):
    answer = ana.post("logout")
    assert answer.status_code == 200
    assert f'{COOKIE}=""' in answer.headers["set-cookie"]
    assert "Max-Age=0" in answer.headers["set-cookie"]


# -- what is shown ---------------------------------------------------------------------------------------


def events(*bodies, attempt=1, first=1):
    from axonlab_core.contract.base import utc_now

    return [Event(n=first + i, at=utc_now(), attempt=attempt, body=body) for i, body in enumerate(bodies)]


def test_live_says_what_happened(service, ana):
    job = service.submit(course="axons")
    page = ana.get(f"jobs/{job['id']}/live?after=0").text
    assert 'data-state="queued"' in page
    assert "form_token" not in page
    claim = service.claim(job["id"])
    body = {"first": 0, "events": [
        {"type": "metric", "step": 10, "values": {"loss": 0.5, "val_dice_axon": 0.25}},
        {"type": "metric", "step": 20, "values": {"loss": 0.25, "val_dice_axon": 0.75}},
        {"type": "warning", "message": "Mind <the> gap."},
        {"type": "log", "stream": "stdout", "text": "</pre><script>alert(1)</script>\n"},
    ]}  # fmt: skip
    service.ok("POST", f"runs/{job['id']}/1/events", token=claim["token"], body=body)
    page = ana.get(f"jobs/{job['id']}/live?after=1&wait=5").text
    assert 'data-state="running"' in page
    assert page.count("<polyline") == 2
    assert "axon <b>0.750</b>" in page
    assert "Mind &lt;the&gt; gap." in page
    assert "<script>" not in page
    for wrong in ("after=-1", "wait=1000", "after=x"):
        assert ana.get(f"jobs/{job['id']}/live?{wrong}").status_code == 422


def test_lists_say_whether_they_have_changed(service, ana):
    job = service.submit(course="axons")
    first = ana.get("live?state=queued")
    assert job["id"] in first.text
    assert "form" not in first.text
    assert 'data-address="/services/axonlab/live?state=queued"' in first.text
    known = {"If-None-Match": first.headers["etag"]}
    same = ana.get("live?state=queued", **known)
    assert (same.status_code, same.content) == (304, b"")
    service.submit(course="axons")
    assert ana.get("live?state=queued", **known).status_code == 200
    assert ana.get("courses/axons/live").status_code == 404, "ana is no staff"


def test_a_timeline_in_pieces_is_the_timeline():
    bodies = [
        StateEvent(state=JobState.queued),
        StateEvent(state=JobState.running, message="Run 1."),
        LogEvent(stream="stdout", text="half a "),
        LogEvent(stream="stdout", text="line"),
        StepEvent(name="execute", status="started"),
        ProgressEvent(done=3, total=10, remaining_s=4),
        *[MetricEvent(step=i, values={"loss": 1 / (i + 1), "val_dice_axon": i / 3000}) for i in range(3000)],
    ]
    stream = events(*bodies)
    whole, pieces = Timeline(), Timeline()
    whole.take(stream)
    for event in stream:
        pieces.take([event])
    assert whole.story() == pieces.story()
    story = whole.story()
    assert story.log.endswith("execute: started\n")
    assert "half a line\n[" in story.log
    points = story.curves.points("loss")
    assert len(points) <= 1000
    assert (points[0], points[-1]) == ((0, 1.0), (2999, 1 / 3000))
    whole.take(events(StepEvent(name="fetch_inputs", status="started"), attempt=2, first=len(stream) + 1))
    story = whole.story()
    assert [step.name for step in story.steps] == ["fetch_inputs"]
    assert story.progress is None, "a new run begins anew"


def test_a_long_log_keeps_its_end():
    timeline = Timeline()
    timeline.take(events(*[LogEvent(stream="stdout", text=f"line {i}\n") for i in range(5000)]))
    story = timeline.story()
    assert story.log_cut
    assert len(story.log) <= 20_000
    assert story.log.endswith("line 4999\n")
    assert story.log.startswith("line ")


@pytest.mark.parametrize(
    ("seconds", "said"), [(-1, "0 s"), (59.6, "1 min"), (61, "1 min 1 s"), (3600, "1 h"), (3661, "1 h 1 min")]
)
def test_durations(seconds, said):
    assert words.duration(seconds) == said


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (10**16, "10000.0 TB")]
)
def test_sizes(count, said):
    assert words.size(count) == said
