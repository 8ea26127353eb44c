"""Everything that can be set about the hub and the service, read from the environment once per process."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from axonlab_core.contract.base import CourseName
from axonlab_core.contract.errors import BadInput

_PREFIX = "AXONLAB_"
_GIB = 2**30
_GIVEN_BY_HUB = {"hub_api_url": "JUPYTERHUB_API_URL", "service_prefix": "JUPYTERHUB_SERVICE_PREFIX"}
# Only a service has these; in a student's server variables of the same name are the student's.
_GIVEN_TO_SERVICE = {
    "hub_host": "JUPYTERHUB_HOST",
    "hub_base_url": "JUPYTERHUB_BASE_URL",
    "oauth_client_id": "JUPYTERHUB_CLIENT_ID",
    "oauth_client_secret": "JUPYTERHUB_API_TOKEN",
    "oauth_callback_url": "JUPYTERHUB_OAUTH_CALLBACK_URL",
}
_OF_A_LAB = ("LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER")
_NOT_HANDED_ON = frozenset(_GIVEN_TO_SERVICE)


class Settings(BaseModel):
    """Settings of the hub and of the service; the field `lease_s` is the variable `AXONLAB_LEASE_S`, and so on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: Path = Path(".axonlab")
    """Folder that holds whatever must survive a restart; only its owner can read it."""
    database_url: str = ""
    """Empty: a SQLite file in the state folder."""
    storage_url: str = ""
    """Empty: a folder in the state folder."""

    bind_url: str = "http://127.0.0.1:8000"
    """Where the hub listens."""
    public_url: str = ""
    """Where people reach the hub; empty: where it listens."""
    hub_port: int = 8081
    proxy_port: int = 8001
    """Of the proxy's own API."""
    service_port: int = 8010
    course: CourseName = "axons"
    """Course of whoever logs in on one machine."""

    lan: bool = False
    """A lab server: own passwords, own system users, TLS."""
    roster: Path = Path("roster.csv")
    """Of a lab server: who is in the course."""
    homes: Path = Path("/home/axonlab")
    """Of a lab server: the folder with everybody's home."""
    user_prefix: str = Field(default="axonlab-", pattern=r"^[a-z][a-z0-9]{0,6}-$")
    """Of a lab server: what stands before a person's name in the system user's, so that nobody becomes `root`."""
    tls_certificate: Path | None = None
    """Of a lab server: its certificate with the chain, PEM; without one it signs its own."""
    tls_key: Path | None = None

    hub_api_url: str = "http://127.0.0.1:8081/hub/api"
    service_prefix: str = "/services/axonlab/"
    hub_host: str = ""
    """Where browsers reach the hub, where that is another host than the service's; empty: the same."""
    hub_base_url: str = "/"
    oauth_client_id: str = ""
    """What the hub calls the service when it logs people in; empty: it was not started by a hub, and has no login."""
    oauth_client_secret: str = Field(default="", repr=False)
    oauth_callback_url: str = ""

    lease_s: float = Field(default=30, gt=0)
    """For how long a claim holds without a heartbeat."""
    heartbeat_s: float = Field(default=10, gt=0)
    max_attempts: int = Field(default=3, ge=1)
    """How many runs of a job may be lost before it fails."""
    max_hand_backs: int = Field(default=20, ge=1)
    max_unfinished_jobs: int = Field(default=50, ge=1)
    """Of one owner at a time."""
    ticket_lifetime_s: float = Field(default=900, gt=0)
    max_blob_bytes: int = Field(default=4 * _GIB, gt=0)
    max_body_bytes: int = Field(default=8 * 2**20, gt=0)
    """Of a JSON request; blobs go through links, which have their own size."""
    identity_cache_s: float = Field(default=30, ge=0, le=60)
    """For how long the hub's answer about a token is believed."""
    unknown_token_cache_s: float = Field(default=5, ge=0, le=60)
    """For how long it is believed that the hub knows nothing of a token."""
    unknown_tokens_per_s: float = Field(default=10, gt=0)
    """How many tokens that turn out unknown the hub is asked about, ten times as many at once."""
    requests_per_s: float = Field(default=20, gt=0)
    """Of one user, in the long run; in each replica."""
    request_burst: int = Field(default=100, ge=1)
    """Of one user, at once."""
    session_hours: float = Field(default=8, gt=0, le=24 * 7)
    """For how long a login at the pages holds; logging out of the hub ends it earlier."""
    body_timeout_s: float = Field(default=30, gt=0)
    """Within which a JSON request must have arrived, and each piece of an upload after the one before."""
    recheck_s: float = Field(default=1.0, gt=0)
    """How often a long poll looks into the database, in case another replica changed it."""

    @property
    def hub_folder(self) -> Path:
        """What is the hub's own."""
        return self.state.resolve() / "hub" if self.lan else self.state.resolve()

    @property
    def service_folder(self) -> Path:
        """What is the service's own; on a lab server it belongs to another system user than the hub's."""
        return self.state.resolve() / "service" if self.lan else self.state.resolve()

    @property
    def runner_folder(self) -> Path:
        """What is the runner's own."""
        return self.state.resolve() / "runner" if self.lan else self.state.resolve()

    @property
    def work_folder(self) -> Path:
        """Of a lab server: where its runner's runs have their folders; nothing there outlives a run."""
        return self.runner_folder / "work"

    @property
    def homes_folder(self) -> Path:
        """Where everybody has their home."""
        return self.homes.resolve() if self.lan else self.state.resolve() / "homes"

    @property
    def first_passwords_file(self) -> Path:
        """Of a lab server: the passwords that it has made and that nobody has handed out yet."""
        return self.hub_folder / "first-passwords.csv"

    @property
    def hub_database(self) -> str:
        """URL of the hub's own database."""
        return f"sqlite:///{self.hub_folder / 'jupyterhub.sqlite'}"

    @property
    def database(self) -> str:
        """URL of the database."""
        return self.database_url or f"sqlite:///{self.service_folder / 'axonlab.sqlite'}"

    @property
    def storage(self) -> str:
        """URL of the storage."""
        return self.storage_url or (self.service_folder / "storage").as_uri()

    @property
    def link_secret_file(self) -> Path:
        """The file with the secret that signs links."""
        return self.service_folder / "link-secret"

    @property
    def runner_token_file(self) -> Path:
        """The file with the token that lets a runner claim jobs."""
        return self.runner_folder / "runner-token"

    @property
    def url(self) -> str:
        """Where people reach the hub."""
        return (self.public_url or self.bind_url).rstrip("/")

    @property
    def public_service_url(self) -> str:
        """Where people reach the service: through the hub's proxy."""
        return self.url + self.service_prefix.rstrip("/")

    @property
    def inner_service_url(self) -> str:
        """Where kernels and the runner of this machine reach the service.

        On a lab server that is not through the proxy, whose certificate they would have to be told to trust.
        """
        if not self.lan:
            return self.public_service_url
        return f"http://127.0.0.1:{self.service_port}{self.service_prefix.rstrip('/')}"

    @classmethod
    def from_environment(cls, **given: Any) -> Self:
        """The settings of this process: what is given, else what the environment says, else the defaults.

        The environment is `AXONLAB_…`, and for a service what the hub tells it (`JUPYTERHUB_…`).

        Raises
        ------
        BadInput
            If a variable's value makes no sense.
        """
        values: dict[str, Any] = {
            name: os.environ[_PREFIX + name.upper()]
            for name in cls.model_fields
            if os.environ.get(_PREFIX + name.upper())
        }
        given_by_hub = _GIVEN_BY_HUB | (_GIVEN_TO_SERVICE if os.environ.get("JUPYTERHUB_SERVICE_NAME") else {})
        for name, variable in given_by_hub.items():
            if name not in values and os.environ.get(variable):
                values[name] = os.environ[variable]
        values |= {name: value for name, value in given.items() if value is not None}
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            name = _PREFIX + str(first["loc"][0]).upper()
            raise BadInput(f"{name}={first['input']}: {first['msg']}.", remedy=f"Change or unset {name}.") from error

    def environment(self) -> dict[str, str]:
        """The variables from which another process reads these same settings."""
        state = {"AXONLAB_STATE": str(self.state.resolve())}
        names = self.model_fields_set - _NOT_HANDED_ON
        given = {_PREFIX + name.upper(): str(getattr(self, name)) for name in names}
        return given | state


def child_environment(settings: Settings) -> dict[str, str]:
    """The environment of a process that this one starts: its own, these settings, and our own programs first."""
    programs = str(Path(sys.executable).parent)
    path = os.pathsep.join(part for part in (programs, os.environ.get("PATH", "")) if part)
    # A lab server's hub is root, and what root's shell happens to have set is nobody's business.
    own = {name: os.environ[name] for name in _OF_A_LAB if name in os.environ} if settings.lan else os.environ
    return {**own, **settings.environment(), "PATH": path}
