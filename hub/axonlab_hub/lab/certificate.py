"""The certificate of a lab server: the one it was given, or one that it signs itself."""

from __future__ import annotations

import datetime as dt
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from axonlab_core.contract.base import utc_now
from axonlab_core.contract.errors import BadInput
from axonlab_hub.secrets_folder import write_private

_LIFETIME = dt.timedelta(days=397)  # browsers refuse longer ones
_SOON = dt.timedelta(days=14)
_BACKDATED = dt.timedelta(hours=1)  # clocks differ


@dataclass(frozen=True)
class Certificate:
    """A certificate and its key as files, and what people should be told of it."""

    certificate: Path
    key: Path
    warnings: tuple[str, ...]


def given_certificate(certificate: Path, key: Path, host: str, into: Path, *, group: int) -> Certificate:
    """Copies of a given certificate (with its chain) and key in the folder `into`, readable by that group.

    Raises
    ------
    BadInput
        If either cannot be read, they do not belong together, or the certificate is out of date.
    """
    chain, secret = _read(certificate), _read(key)
    found = _parse(certificate, chain)
    if not _belong_together(key, secret, found):
        raise BadInput(f"{key} is not the key of {certificate}.", remedy="Check --tls-certificate and --tls-key.")
    now = utc_now()
    if not found.not_valid_before_utc <= now <= found.not_valid_after_utc:
        begin, end = (f"{day:%Y-%m-%d}" for day in (found.not_valid_before_utc, found.not_valid_after_utc))
        raise BadInput(
            f"{certificate} is valid from {begin} to {end}.",
            remedy="Renew it, or leave --tls-certificate away to use a self-signed one.",
        )
    warnings = []
    if found.not_valid_after_utc - now < _SOON:
        warnings.append(f"The certificate ends on {found.not_valid_after_utc:%Y-%m-%d}.")
    if not _is_for(found, host):
        warnings.append(f"The certificate is not for {host}: browsers will warn.")
    return Certificate(*_write(into, "given", chain, secret, group=group), warnings=tuple(warnings))


def own_certificate(host: str, into: Path, *, group: int) -> Certificate:
    """A self-signed certificate for that host in the folder `into`; it is kept while it is valid."""
    file, key = into / "self-signed.pem", into / "self-signed.key"
    found = _parse(file, _read(file)) if file.is_file() and key.is_file() else None
    sound = found is not None and _belong_together(key, _read(key), found) and _is_for(found, host)
    if found is None or not sound or found.not_valid_after_utc - utc_now() < _SOON:
        found, secret = _sign(host)
        _write(into, "self-signed", found.public_bytes(serialization.Encoding.PEM), secret, group=group)
    print_ = found.fingerprint(hashes.SHA256()).hex(":").upper()
    warning = (
        "The certificate is self-signed: browsers warn at the first visit. Whoever is asked to trust it compares\n"
        f"  SHA-256  {print_}"
    )
    return Certificate(file, key, (warning,))


def _sign(host: str) -> tuple[x509.Certificate, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:64])])
    names = dict.fromkeys([host, "localhost", "127.0.0.1"])
    now = utc_now()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.SubjectAlternativeName([_general(each) for each in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate, secret


def _belong_together(key: Path, secret: bytes, certificate: x509.Certificate) -> bool:
    try:
        private = serialization.load_pem_private_key(secret, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadInput(f"{key} is no private key in PEM without a password.", remedy="Check --tls-key.") from error
    return _public(private.public_key()) == _public(certificate.public_key())


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _is_for(certificate: x509.Certificate, host: str) -> bool:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    hosts = {str(name) for kind in (x509.DNSName, x509.IPAddress) for name in names.get_values_for_type(kind)}
    return host in hosts or f"*.{host.partition('.')[2]}" in hosts


def _public(key: object) -> bytes:
    return key.public_bytes(  # pyright: ignore[reportAttributeAccessIssue] (every public key of `cryptography` has it)
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _parse(path: Path, chain: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificates(chain)[0]
    except ValueError as error:
        raise BadInput(f"{path} is no certificate in PEM.", remedy="Check --tls-certificate.") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}).", remedy="Check its path and its owner.") from error


def _write(into: Path, name: str, chain: bytes, secret: bytes, *, group: int) -> tuple[Path, Path]:
    paths = into / f"{name}.pem", into / f"{name}.key"
    for path, content in zip(paths, (chain, secret), strict=True):
        write_private(path, content, group=group)
    return paths
