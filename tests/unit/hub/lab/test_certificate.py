import datetime as dt
import os
import shutil
import ssl
import subprocess

import pytest

from axonlab_core.contract.errors import BadInput
from axonlab_hub.lab import certificate
from axonlab_hub.lab.certificate import given_certificate, own_certificate

if shutil.which("openssl") is None:
    pytest.skip("there is no OpenSSL here to make certificates as an authority would", allow_module_level=True)


def openssl_request(folder, host, *, days=30, name="given"):
    """Certificate and key as a university's authority would give them: made by OpenSSL."""
    paths = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", str(days), "-subj", f"/CN={host}",
         "-addext", f"subjectAltName=DNS:{host}", "-keyout", paths[1], "-out", paths[0]],
        check=True, capture_output=True,
    )  # fmt: skip
    return paths


@pytest.fixture
def into(tmp_path):
    folder = tmp_path / "proxy"
    folder.mkdir()
    return folder


def test_a_self_signed_one_is_made_once_and_for_that_host(into):
    first = own_certificate("lab.example.edu", into, group=os.getegid())
    pem = first.certificate.read_bytes()
    assert first.key.stat().st_mode & 0o007 == 0
    again = own_certificate("lab.example.edu", into, group=os.getegid())
    assert (again.certificate.read_bytes(), again.warnings) == (pem, first.warnings)
    text = subprocess.run(["openssl", "x509", "-noout", "-text"], input=pem, capture_output=True, check=True).stdout
    assert b"DNS:lab.example.edu, DNS:localhost, IP Address:127.0.0.1" in text
    printed = subprocess.run(
        ["openssl", "x509", "-noout", "-fingerprint", "-sha256"], input=pem, capture_output=True, check=True
    ).stdout.decode()
    assert printed.strip().partition("=")[2] in first.warnings[0]
    other = own_certificate("10.0.0.7", into, group=os.getegid())
    assert other.certificate.read_bytes() != pem, "people reach it by another name now"
    ssl.create_default_context().load_cert_chain(other.certificate, other.key)


def test_a_half_written_self_signed_one_is_made_again(into, tmp_path):
    first = own_certificate("lab", into, group=os.getegid())
    other = own_certificate("lab2", into, group=os.getegid())
    first_pem = openssl_request(tmp_path, "lab")[0].read_bytes()
    other.certificate.write_bytes(first_pem)
    again = own_certificate("lab", into, group=os.getegid())
    ssl.create_default_context().load_cert_chain(again.certificate, again.key)
    assert first.key == again.key


def test_a_self_signed_one_does_not_become_a_given_one(into, tmp_path):
    own = own_certificate("lab", into, group=os.getegid())
    pem, key = openssl_request(tmp_path, "lab")
    given = given_certificate(pem, key, "lab", into, group=os.getegid())
    assert given.certificate != own.certificate
    assert own_certificate("lab", into, group=os.getegid()).certificate.read_bytes() != pem.read_bytes()


def test_a_self_signed_one_is_renewed_before_it_ends(into, monkeypatch):
    first = own_certificate("lab", into, group=os.getegid()).certificate.read_bytes()
    now = certificate.utc_now()
    monkeypatch.setattr(certificate, "utc_now", lambda: now + dt.timedelta(days=396))
    assert own_certificate("lab", into, group=os.getegid()).certificate.read_bytes() != first


def test_a_given_one_is_copied(into, tmp_path):
    pem, key = openssl_request(tmp_path, "lab.example.edu")
    found = given_certificate(pem, key, "lab.example.edu", into, group=os.getegid())
    assert found.warnings == ()
    assert (found.certificate.read_bytes(), found.key.read_bytes()) == (pem.read_bytes(), key.read_bytes())
    assert found.key.stat().st_mode & 0o007 == 0


def test_what_people_should_know_of_a_given_one(into, tmp_path):
    pem, key = openssl_request(tmp_path, "old.example.edu", days=3)
    warnings = given_certificate(pem, key, "lab.example.edu", into, group=os.getegid()).warnings
    assert [warning.split(" ")[2] for warning in warnings] == ["ends", "is"]
    wild, its_key = openssl_request(tmp_path, "*.example.edu", name="wild")
    assert given_certificate(wild, its_key, "lab.example.edu", into, group=os.getegid()).warnings == ()


def test_one_that_will_not_do_is_refused(into, tmp_path):
    pem, key = openssl_request(tmp_path, "a")
    _, other_key = openssl_request(tmp_path, "b", name="other")
    for chain, secret, said in [
        (pem, other_key, "is not the key of"),
        (key, key, "no certificate in PEM"),
        (pem, pem, "no private key"),
        (tmp_path / "none", key, "cannot be read"),
        (pem, tmp_path / "none", "cannot be read"),
    ]:
        with pytest.raises(BadInput, match=said):
            given_certificate(chain, secret, "a", into, group=os.getegid())
    assert list(into.iterdir()) == [], "nothing half-written"


def test_one_out_of_date_is_refused(into, tmp_path, monkeypatch):
    pem, key = openssl_request(tmp_path, "a", days=30)
    now = certificate.utc_now()
    monkeypatch.setattr(certificate, "utc_now", lambda: now + dt.timedelta(days=31))
    with pytest.raises(BadInput, match="is valid from"):
        given_certificate(pem, key, "a", into, group=os.getegid())
