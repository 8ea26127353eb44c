"""The pages in a real browser behind the real hub, with a real runner."""

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(240)]

SHORT = {"steps": 40, "seed": 7, "batch": 2, "tile_px": 96, "threads": 1}


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
        expect(page.locator("#curves .line").first).to_be_visible(timeout=60_000)
        tab.picture("job-running")
        expect(page.locator(".state")).to_have_text("succeeded", timeout=60_000)
        assert page.evaluate("window.stayed") is True, "it moved by itself, without a reload"
        assert page.evaluate("document.getElementById('announce').textContent") == "The job is succeeded."
        expect(page.get_by_role("button", name="Submit it again")).to_be_visible()
        expect(page.get_by_role("button", name="Cancel this job")).to_be_hidden()
        expect(page.locator("#curves figure")).to_have_count(2)
        tab.picture("job-succeeded")
        with page.expect_download() as started:
            page.get_by_role("link", name="The lab report").click()
        assert started.value.suggested_filename.endswith("executed.ipynb")
        assert b'"cells"' in started.value.path().read_bytes()

        segmented = client.segment(data, model=job)
        tab.open(f"jobs/{segmented.id}")
        picture = page.locator("#pictures img").first
        expect(picture).to_be_visible(timeout=60_000)
        page.wait_for_function("[...document.querySelectorAll('#pictures img')].every((one) => one.naturalWidth > 100)")
        expect(page.locator(".state")).to_have_text("succeeded")
        tab.picture("job-segmented")
