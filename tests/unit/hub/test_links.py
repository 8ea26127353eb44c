"""Links as they are served: bytes in, bytes out, one verb, one key."""


def test_a_range_of_a_blob(service):
    job = service.submit()
    service.succeed(job)
    ticket = service.ok("GET", f"jobs/{job['id']}/artifacts/model/model.safetensors/ticket", token="ana")
    url = f"/services/axonlab/{ticket['parts'][0]['url']}"
    whole = service.client.get(url)
    assert whole.content == b"model"
    assert whole.headers["content-type"] == "application/octet-stream"
    assert whole.headers["content-disposition"] == "attachment"
    assert whole.headers["cache-control"] == "no-store"
    assert whole.headers["content-security-policy"].startswith("sandbox")
    part = service.client.get(url, headers={"Range": "bytes=1-3"})
    assert (part.status_code, part.content) == (206, b"ode")


def test_a_link_is_for_its_verb_and_unchanged(service):
    blob = {"sha256": "1" * 64, "size_bytes": 4}
    (ticket,) = service.ok("POST", "uploads", token="ana", body={"blobs": [blob]})["tickets"]
    url = f"/services/axonlab/{ticket['parts'][0]['url']}"
    for method in ("GET", "POST"):
        answer = service.client.request(method, url)
        assert answer.status_code == 403
        assert answer.json()["error"] == "not_allowed"
    assert service.client.put(url[:-3] + "AAA", content=b"1234").status_code == 403
    for wrong in (b"123", b"12345", b"1234"):
        assert service.client.put(url, content=wrong).status_code in {413, 422}
    assert not [path for path in (service.settings.state / "storage").rglob("*") if path.is_file()]


def test_a_link_ends(settings, service):
    from datetime import timedelta

    from axonlab_core.contract.tickets import Blob

    ticket = service.parts.storage.upload_ticket(
        "users/ana/blobs/" + "1" * 64, Blob(sha256="1" * 64, size_bytes=1), lifetime=timedelta(seconds=-1)
    )
    answer = service.client.put(f"/services/axonlab/{ticket.parts[0].url}", content=b"1")
    assert answer.status_code == 403
    assert "expired" in answer.json()["message"]


def test_too_large_a_blob_gets_no_ticket(service):
    blob = {"sha256": "1" * 64, "size_bytes": 5 * 2**30}
    said = service.refused(413, "POST", "uploads", token="ana", body={"blobs": [blob]})
    assert "over the limit of 4096 MiB" in said["message"]


def test_a_blob_in_parts(service):
    data = bytes(range(256)) * (2**17)  # 32 MiB: two parts
    blob = service.upload(data)
    assert service.parts.storage.size_bytes(f"users/ana/blobs/{blob.sha256}") == len(data)
