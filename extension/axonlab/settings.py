"""Where the service is and who asks: the one place that reads the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn, Self

from platformdirs import user_cache_path

from axonlab_core.contract.errors import NotSignedIn, UserError

_INSIDE = "Inside the course's hub nothing needs to be given."
_OUTSIDE = (
    "Elsewhere: axonlab.connect('https://<hub>/services/axonlab', token), the token from the hub's page /hub/token."
)


@dataclass(frozen=True)
class Settings:
    """What a connection and the local cache need to know. Cannot be pickled: it holds a token."""

    service_url: str | None
    token: str | None = field(repr=False)
    """For any service: `AXONLAB_TOKEN`, or the first line of the file `AXONLAB_TOKEN_FILE`."""
    hub_token: str | None = field(repr=False)
    """The kernel's own token; shown to the hub that gave it and to nobody else."""
    cache_dir: Path
    pages_url: str | None = None
    """Where a browser finds the pages of the service at `service_url`, if that is not where a kernel finds it."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Self:
        """The settings that the environment says now.

        Raises
        ------
        UserError
            If the token file cannot be read.
        """
        env = os.environ if environ is None else environ
        token = env.get("AXONLAB_TOKEN", "").strip()
        if not token and (file := env.get("AXONLAB_TOKEN_FILE", "").strip()):
            token = _read_token(Path(file).expanduser())
        cache = env.get("AXONLAB_CACHE_DIR", "").strip()
        return cls(
            service_url=_service_url(env),
            token=token or None,
            hub_token=env.get("JUPYTERHUB_API_TOKEN", "").strip() or None,
            cache_dir=Path(cache).expanduser() if cache else user_cache_path("axonlab"),
            pages_url=env.get("AXONLAB_PAGES_URL", "").strip() or None,
        )

    def address_and_token(self, url: str | None, token: str | None) -> tuple[str, str]:
        """Address of the service and the token to show it; what is given goes before what is set.

        Raises
        ------
        UserError
            If either is known from nowhere; says where it may come from.
        """
        address = url or self.service_url
        if address is None:
            raise UserError(
                "The address of the Axonlab service is not known: AXONLAB_SERVICE_URL is not set.",
                remedy=f"{_INSIDE} {_OUTSIDE}",
            )
        # The kernel's token opens the student's whole server: a foreign address must not get it.
        found = token or self.token or (self.hub_token if self._is_own(address) else None)
        if found is None:
            raise NotSignedIn(
                f"There is no token to sign in to {address} with.",
                remedy=f"Set AXONLAB_TOKEN or AXONLAB_TOKEN_FILE, or give it: {_OUTSIDE}",
            )
        return address, found

    def pages_of(self, address: str) -> str | None:
        """Where a browser finds the pages of that service, if another address is known than the service's own."""
        return self.pages_url if self._is_own(address) else None

    def _is_own(self, address: str) -> bool:
        return self.service_url is not None and address.rstrip("/") == self.service_url.rstrip("/")

    def __reduce__(self) -> NoReturn:
        raise TypeError("Settings hold a token and are not pickled; read them again with Settings.from_environment().")


def _service_url(env: Mapping[str, str]) -> str | None:
    if url := env.get("AXONLAB_SERVICE_URL", "").strip():
        return url
    # A single-user server knows the hub's API address, which need not lead through the proxy; the public ones do.
    if hub := env.get("JUPYTERHUB_PUBLIC_HUB_URL", "").strip():
        return hub.rstrip("/").removesuffix("/hub") + "/services/axonlab"
    if host := env.get("JUPYTERHUB_HOST", "").strip():
        return f"{host}{env.get('JUPYTERHUB_BASE_URL', '/')}services/axonlab"
    return None


def _read_token(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"The token file {path} cannot be read ({type(error).__name__}).",
            remedy="Check AXONLAB_TOKEN_FILE; the file holds the token alone.",
        ) from error
    if len(lines) != 1:
        raise UserError(f"The token file {path} does not hold one token.", remedy="Write the token alone into it.")
    return lines[0]
