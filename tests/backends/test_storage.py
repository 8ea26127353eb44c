"""One suite for every storage URL; the disk is the first."""

import errno
import hashlib
import os
from datetime import timedelta

import pytest

from axonlab_core.backends.disk import DiskStorage, Link
from axonlab_core.backends.storage import open_storage
from axonlab_core.contract.base import utc_now
from axonlab_core.contract.errors import BadInput, Conflict, NotAllowed, NotFound, TooLarge
from axonlab_core.contract.keys import blob_key, course_namespace, user_namespace
from axonlab_core.contract.tickets import Blob, Ticket

SECRET = b"0123456789abcdef"


def blob_of(data: bytes) -> Blob:
    return Blob(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))


def key_of(data: bytes, user: str = "ana") -> str:
    return blob_key(user_namespace(user), blob_of(data).sha256)


@pytest.fixture
def storage(tmp_path):
    return DiskStorage(tmp_path / "store", secret=SECRET, part_bytes=1000)


def token(url: str) -> str:
    return url.rsplit("=", 1)[1]


def put(storage: DiskStorage, ticket: Ticket, data: bytes) -> None:
    for part in ticket.parts:
        receiver = storage.receive(storage.open_link(token(part.url), "put"))
        receiver.write(data[part.offset : part.offset + part.size_bytes])
        receiver.finish()
    if ticket.commit is not None:
        storage.commit(storage.open_link(token(ticket.commit.url), "commit"))


@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, 5500])
def test_what_is_put_is_read_back(storage, size):
    data = bytes(i % 251 for i in range(size))
    key = key_of(data)
    assert storage.size_bytes(key) is None
    ticket = storage.upload_ticket(key, blob_of(data))
    assert sum(part.size_bytes for part in ticket.parts) == size
    put(storage, ticket, data)
    assert storage.read(key, max_bytes=10_000) == data
    assert storage.read_part(key, offset=0, size_bytes=100) == data[:100]
    assert storage.size_bytes(key) == size
    assert list(storage.keys("users")) == [key]
    link = storage.open_link(token(storage.download_ticket(key).parts[0].url), "get")
    assert storage.locate(link).read_bytes() == data
    assert not list(storage.staging.iterdir()), "the staging area is left clean"


def test_putting_the_same_twice_changes_nothing(storage):
    data = b"same"
    for _ in range(2):
        put(storage, storage.upload_ticket(key_of(data), blob_of(data)), data)
    assert storage.read(key_of(data), max_bytes=10) == data


def test_what_is_there_is_not_overwritten(storage):
    key = "jobs/abcdefgh/runs/1/results/job.json"
    put(storage, storage.upload_ticket(key, blob_of(b"first")), b"first")
    with pytest.raises(Conflict):
        put(storage, storage.upload_ticket(key, blob_of(b"other")), b"other")
    assert storage.read(key, max_bytes=10) == b"first"


def test_other_bytes_than_announced_are_refused_and_leave_nothing(storage):
    ticket = storage.upload_ticket(key_of(b"announced"), blob_of(b"announced"))
    with pytest.raises(BadInput, match="hash"):
        put(storage, ticket, b"somethin9")
    with pytest.raises(BadInput, match="cut off"):
        put(storage, ticket, b"ann")
    receiver = storage.receive(storage.open_link(token(ticket.parts[0].url), "put"))
    with pytest.raises(TooLarge):
        receiver.write(b"x" * 10)
    receiver.abandon()
    assert storage.size_bytes(key_of(b"announced")) is None


def test_an_upload_in_parts_resumes_where_it_broke(storage):
    data = b"y" * 2500
    first = storage.upload_ticket(key_of(data), blob_of(data))
    receiver = storage.receive(storage.open_link(token(first.parts[0].url), "put"))
    receiver.write(data[:1000])
    receiver.finish()
    with pytest.raises(Conflict, match="Part 1 of 3"):
        storage.commit(storage.open_link(token(first.commit.url), "commit"))
    second = storage.upload_ticket(key_of(data), blob_of(data))
    assert [part.offset for part in second.parts] == [1000, 2000], "what has arrived is left out"
    for part in second.parts:
        receiver = storage.receive(storage.open_link(token(part.url), "put"))
        receiver.write(data[part.offset : part.offset + part.size_bytes])
        receiver.finish()
    storage.commit(storage.open_link(token(second.commit.url), "commit"))
    assert storage.read(key_of(data), max_bytes=3000) == data


def test_a_link_works_for_its_verb_key_and_time_only(storage):
    data = b"secret"
    put(storage, storage.upload_ticket(key_of(data), blob_of(data)), data)
    read = token(storage.download_ticket(key_of(data)).parts[0].url)
    assert storage.open_link(read, "get").key == key_of(data)
    with pytest.raises(NotAllowed, match="for get"):
        storage.open_link(read, "put")
    with pytest.raises(NotAllowed, match="expired"):
        storage.open_link(read, "get", now=utc_now() + timedelta(minutes=16))
    over = token(storage.download_ticket(key_of(data), lifetime=timedelta(seconds=-1)).parts[0].url)
    with pytest.raises(NotAllowed, match="expired"):
        storage.open_link(over, "get")
    payload, signature = read.rsplit(".", 1)
    # Its first character: of the last ones some bits mean nothing.
    other = ("B" if signature[0] == "A" else "A") + signature[1:]
    for forged in (payload, f"{payload}x.{signature}", f"{payload}.{other}", "", "a.b.c"):
        with pytest.raises(NotAllowed, match="not issued"):
            storage.open_link(forged, "get")


def test_a_link_of_another_service_opens_nothing(storage, tmp_path):
    other = DiskStorage(tmp_path / "other", secret=b"another-secret-16")
    link = Link(verb="get", key=key_of(b"x"), ends_at=utc_now() + timedelta(minutes=5))
    foreign = token(other._url(link))
    with pytest.raises(NotAllowed):
        storage.open_link(foreign, "get")


def test_what_is_not_there_is_not_found(storage):
    with pytest.raises(NotFound):
        storage.download_ticket(key_of(b"never"))
    with pytest.raises(NotFound):
        storage.read(key_of(b"never"), max_bytes=1)
    with pytest.raises(NotFound):
        storage.read_part(key_of(b"never"), offset=0, size_bytes=1)


def test_deleting_a_prefix_leaves_its_neighbours(storage):
    for user in ("ana", "anab"):
        put(storage, storage.upload_ticket(key_of(b"d", user), blob_of(b"d")), b"d")
    assert storage.delete(user_namespace("ana")) == 1
    assert list(storage.keys("users")) == [key_of(b"d", "anab")]


@pytest.mark.parametrize("key", ["../etc/passwd", "/etc/passwd", "a//b", "a/./b", "a/../b", ".staging/x", "", "a\x00b"])
def test_keys_that_climb_are_refused(storage, key):
    with pytest.raises(BadInput):
        storage.size_bytes(key)


@pytest.mark.parametrize(
    ("url", "says"), [("s3://bucket", "Known: file"), ("file://host/x", "names the host"), ("", "Known: file")]
)
def test_unknown_urls_say_what_is_known(url, says):
    with pytest.raises(BadInput, match=says):
        open_storage(url, secret=SECRET)


def test_the_url_opens_the_folder(tmp_path):
    open_storage(f"file://{tmp_path}/a%20b", secret=SECRET)
    assert (tmp_path / "a b").is_dir()


@pytest.mark.parametrize("links", [True, False])
def test_a_copy_is_the_same_and_stays_when_the_other_goes(storage, monkeypatch, links):
    if not links:

        def refuse(*_):
            raise OSError(errno.EPERM, "no links here")

        monkeypatch.setattr(os, "link", refuse)
    data = b"x" * 5000
    source, target = key_of(data), blob_key(course_namespace("axons"), blob_of(data).sha256)
    path = storage.root / source
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    for _ in range(2):
        storage.copy(source, target)
    assert storage.delete("users") == 1
    assert storage.read(target, max_bytes=5000) == data
    assert not storage.staging.exists() or not list(storage.staging.iterdir())
    with pytest.raises(NotFound):
        storage.copy(source, key_of(b"other"))


def test_a_part_of_an_artifact_is_read(storage):
    data = bytes(range(200))
    put(storage, storage.upload_ticket(key_of(data), blob_of(data)), data)
    assert storage.read_part(key_of(data), offset=10, size_bytes=5) == data[10:15]
    assert storage.read_part(key_of(data), offset=195, size_bytes=50) == data[195:], "as far as there are any"
    with pytest.raises(NotFound):
        storage.read_part(key_of(b"nothing"), offset=0, size_bytes=1)
