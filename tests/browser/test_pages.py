"""The pages in a real browser behind the real hub, with a real runner."""

import re

import httpx
import pytest
from playwright.sync_api import expect

from axonlab_hub.pages.session import COOKIE, Session, Sessions
from axonlab_hub.secrets_folder import kept_secret

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(240)]

SHORT = {"steps": 40, "seed": 7, "batch": 2, "tile_px": 96, "threads": 1}


@pytest.fixture(scope="module")
def waiting(client, data):
    """A job of ana's in the queue, which nobody takes: no runner is at work."""
    job = client.train(data, name="Waiting <b>for</b> a runner", **SHORT)
    yield job
    job.cancel()


def test_a_job_from_the_queue_to_its_overlay(client, data, runner, open_tab):
    job = client.train(data, name="Axons, first try", **SHORT)
    tab = open_tab("ana")
    page = tab.page
    expect(page.get_by_role("heading", name="My jobs")).to_be_visible()
    tab.picture("jobs-queued")
    page.get_by_role("link", name="Axons, first try").click()
    expect(page.locator(".state")).to_have_text("queued")
    expect(page.get_by_text("Place 1 in the queue")).to_be_visible()
    tab.picture("job-queued")

    with runner():
        page.evaluate("window.stayed = true")
        expect(page.locator(".state")).to_have_text("running", timeout=30_000)
        expect(page.locator("#curves polyline").first).to_be_visible(timeout=60_000)
        staff = open_tab("tea", "courses/axons")
        expect(staff.page.locator("#runners tbody th")).to_have_text("desk")
        staff.picture("course")
        staff.page.set_viewport_size({"width": 900, "height": 620})
        staff.picture("for-docs-course", full_page=False)
        tab.picture("job-running")
        expect(page.locator(".state")).to_have_text("succeeded", timeout=60_000)
        assert page.evaluate("window.stayed") is True, "it moved by itself, without a reload"
        assert page.evaluate("document.getElementById('announce').textContent") == "The job is succeeded."
        expect(page.get_by_role("button", name="Submit it again")).to_be_visible()
        expect(page.get_by_role("button", name="Cancel this job")).to_be_hidden()
        expect(page.locator("#curves figure")).to_have_count(2)
        tab.picture("job-succeeded")
        page.emulate_media(color_scheme="dark")
        tab.picture("job-succeeded-dark", full_page=False)
        page.emulate_media(color_scheme="light")
        page.set_viewport_size({"width": 900, "height": 700})
        tab.picture("for-docs-job", full_page=False)
        with page.expect_download() as started:
            page.get_by_role("link", name="The lab report").click()
        assert started.value.suggested_filename == f"{job.id[:6]}-executed.ipynb"
        assert b'"cells"' in started.value.path().read_bytes()

        segmented = client.segment(data, model=job)
        tab.open(f"jobs/{segmented.id}")
        expect(page.locator("#pictures img")).to_have_count(6, timeout=60_000)
        page.wait_for_function("[...document.querySelectorAll('#pictures img')].every((one) => one.naturalWidth > 100)")
        expect(page.locator(".state")).to_have_text("succeeded")
        tab.picture("job-segmented")
        page.set_viewport_size({"width": 700, "height": 420})
        page.locator("#pictures").scroll_into_view_if_needed()
        clip = page.locator("#pictures").bounding_box()
        page.screenshot(path=tab.place("for-docs-overlays"), clip=clip | {"height": 385})

    expect(staff.page.get_by_role("link", name="Axons, first try").first).to_be_visible()
    staff.open(f"jobs/{job.id}")
    expect(staff.page.locator(".state")).to_have_text("succeeded")
    expect(staff.page.get_by_role("button", name="Submit it again")).to_have_count(0)


def test_cancel_and_submit_again(client, data, open_tab):
    job = client.train(data, name="A mistake", **SHORT)
    tab = open_tab("ana", f"jobs/{job.id}", color_scheme="dark", viewport={"width": 390, "height": 844})
    page = tab.page
    page.get_by_role("button", name="Cancel this job").click()
    expect(page.locator(".state")).to_have_text("cancelled")
    assert job.state == "cancelled"
    tab.picture("job-cancelled-dark-small")
    page.get_by_role("button", name="Submit it again").press("Enter")
    page.wait_for_url(lambda url: "/jobs/" in url and job.id not in url)
    expect(page.locator(".state")).to_have_text("queued")
    again = client.job(page.url.rsplit("/", 1)[1])
    assert again.details.resubmitted_from == job.id
    assert again.details.spec == job.details.spec
    page.get_by_role("button", name="Cancel this job").click()
    expect(page.locator(".state")).to_have_text("cancelled")
    tab.open()
    expect(page.locator("table.jobs tbody tr").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "it fits a small screen"
    tab.picture("jobs-dark-small")
    page.get_by_label("State").select_option("succeeded")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_label("State")).to_have_value("succeeded")
    assert set(page.locator("table.jobs .state").all_text_contents()) <= {"succeeded"}


def test_a_cancel_elsewhere_shows_at_once(waiting, open_tab, client, data):
    job = client.train(data, name="Followed", **SHORT)
    tab = open_tab("ana", f"jobs/{job.id}")
    expect(tab.page.get_by_text("Place 2 in the queue")).to_be_visible()
    job.cancel()
    expect(tab.page.locator(".state")).to_have_text("cancelled", timeout=3000)
    expect(tab.page.get_by_role("button", name="Submit it again")).to_be_visible()
    expect(tab.page.get_by_role("button", name="Cancel this job")).to_be_hidden()


def test_lists_move_by_themselves(open_tab, client, data):
    mine, staff = open_tab("ana"), open_tab("tea", "courses/axons")
    for tab in (mine, staff):
        expect(tab.page.get_by_role("heading", level=1)).to_be_visible()
        tab.page.evaluate("window.stayed = true")
    job = client.train(data, name="Seen at once", **SHORT)
    for tab in (mine, staff):
        row = tab.page.locator("#jobs tr", has_text="Seen at once")
        expect(row.locator(".state")).to_have_text("queued")
    expect(staff.page.locator("#queue tr", has_text="Seen at once")).to_be_visible()
    mine.page.get_by_role("link", name="Seen at once").focus()
    job.cancel()
    for tab in (mine, staff):
        row = tab.page.locator("#jobs tr", has_text="Seen at once")
        expect(row.locator(".state")).to_have_text("cancelled")
        assert tab.page.evaluate("window.stayed") is True
    expect(staff.page.locator("#queue tr", has_text="Seen at once")).to_have_count(0)
    expect(mine.page.get_by_role("link", name="Seen at once")).to_be_focused()


def test_names_are_text(waiting, open_tab):
    tab = open_tab("ana", f"jobs/{waiting.id}")
    expect(tab.page.get_by_role("heading", level=1)).to_have_text("Waiting <b>for</b> a runner")


def test_a_second_student_gets_a_404_page(waiting, open_tab):
    tab = open_tab("ben")
    tab.expected = ("404",)
    for path in (f"jobs/{waiting.id}", "courses/axons", "nothing/here"):
        answer = tab.open(path)
        assert answer.status == 404
        expect(tab.page.get_by_role("link", name="To my jobs")).to_be_visible()
        assert "Waiting" not in tab.page.content()
    tab.picture("not-found")


def test_the_keyboard_reaches_everything(waiting, open_tab):
    tab = open_tab("ana", f"jobs/{waiting.id}")
    reached = []
    for _ in range(7):
        tab.page.keyboard.press("Tab")
        reached.append(tab.page.evaluate("(document.activeElement.textContent || '').trim().slice(0, 20)"))
    assert reached[:5] == ["Skip to the content", "Axonlab", "My jobs", "Log out", "Cancel this job"]
    assert reached[5].startswith("[20"), "the log scrolls by keyboard"


def test_log_out(open_tab, classroom):
    tab = open_tab("ana")
    cookies = {cookie["name"]: cookie for cookie in tab.context.cookies(f"{classroom.service_url}/")}
    session = cookies[COOKIE]
    assert session["httpOnly"]
    assert session["sameSite"] == "Lax"
    assert session["path"] == "/services/axonlab/"
    assert not [name for name in cookies if name.startswith("axonlab-login")], "the cookie of the login is gone"
    tab.page.get_by_role("button", name="Log out").click()
    expect(tab.page.get_by_role("heading", level=1)).to_contain_text("You have left")
    tab.picture("logged-out")
    assert COOKIE not in {cookie["name"] for cookie in tab.context.cookies()}
    tab.page.get_by_role("link", name="Log in again").click()
    expect(tab.page.get_by_role("heading", name="My jobs")).to_be_visible()


def test_logging_out_of_the_hub_ends_the_session_here(open_tab, classroom):
    tab = open_tab("cy")
    sealed = next(cookie["value"] for cookie in tab.context.cookies() if cookie["name"] == COOKIE)
    content = Sessions(classroom.settings, kept_secret(classroom.settings.link_secret_file)).unseal(
        sealed, COOKIE, lifetime_s=60
    )
    token = Session.model_validate_json(content).token
    assert token not in sealed

    def status():
        headers = {"Authorization": f"token {token}"}
        return httpx.get(f"{classroom.url}/hub/api/user", headers=headers, timeout=30).status_code

    assert status() == 200
    tab.page.goto(f"{classroom.url}/hub/logout")
    assert status() == 403, "the service believes the hub's answer for at most a minute"


def test_the_hubs_menu_leads_here(open_tab, classroom):
    tab = open_tab("ana")
    tab.page.goto(f"{classroom.url}/hub/home")
    tab.faults.clear()  # of the hub's own page
    tab.page.get_by_role("button", name="Services").or_(tab.page.get_by_role("link", name="Services")).click()
    tab.page.get_by_role("link", name=re.compile("axonlab")).click()
    expect(tab.page.get_by_role("heading", name="My jobs")).to_be_visible()


def test_other_pages_cannot_act_for_somebody(waiting, open_tab, classroom):
    """From another site, and from a page of the same site that is not ours: a student's own server is one."""
    tab = open_tab("ana")
    tab.expected = ("403", "404", "401", "Refused to frame", "frame-ancestors", "Framing")
    tab.page.goto(f"{classroom.url}/hub/home")
    address = f"{classroom.service_url}/jobs/{waiting.id}"
    assert tab.page.evaluate("(url) => fetch(url).then((answer) => answer.status)", address) == 403
    fragment = tab.page.evaluate("(url) => fetch(url + '/live').then((answer) => answer.text())", address)
    assert "form_token" not in fragment
    assert waiting.id in fragment
    trap = f'<form method="post" action="{address}/cancel"><button>Prize</button></form>'
    tab.page.route("http://elsewhere.test/", lambda route: route.fulfill(content_type="text/html", body=trap))
    tab.page.goto("http://elsewhere.test/")
    with tab.page.expect_navigation() as gone:
        tab.page.get_by_role("button", name="Prize").click()
    assert gone.value.status in {401, 403}
    assert waiting.state == "queued"
    tab.faults.clear()


def test_without_script_it_works_too(client, data, open_tab):
    job = client.train(data, name="Plain", **SHORT)
    tab = open_tab("ana", f"jobs/{job.id}", java_script_enabled=False)
    assert tab.page.locator("noscript meta[http-equiv=refresh]").count() == 1
    tab.page.get_by_role("button", name="Cancel this job").click()
    expect(tab.page.locator(".state")).to_have_text("cancelled")
    expect(tab.page.get_by_text("UTC").first).to_be_visible()


def test_a_page_outlives_the_service(client, data, classroom, open_tab):
    job = client.train(data, name="Patient", **SHORT)
    tab = open_tab("ana", f"jobs/{job.id}")
    tab.expected = ("503", "502", "ERR_")
    expect(tab.page.locator(".state")).to_have_text("queued")
    classroom.kill_service()
    classroom.await_service()
    job.cancel()
    expect(tab.page.locator(".state")).to_have_text("cancelled", timeout=15_000)
    tab.open()
    expect(tab.page.get_by_role("heading", name="My jobs")).to_be_visible()
