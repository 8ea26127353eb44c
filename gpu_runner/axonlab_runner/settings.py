"""What a runner is told from outside. The only module of this package that reads the environment."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Literal

import platformdirs
from pydantic import Field, SecretStr

from axonlab_core.contract.base import Value
from axonlab_core.contract.errors import BadInput
from axonlab_core.contract.kinds import Kind


class Settings(Value):
    """A runner's settings."""

    service_url: str
    token: SecretStr
    """The service token with the scope `custom:axonlab:run`. It stays in this process."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    kinds: tuple[Kind, ...] = tuple(Kind)
    name: str = Field(default_factory=lambda: f"{socket.gethostname()}-{os.getpid()}"[:100])
    work_dir: Path = Field(default_factory=lambda: Path(platformdirs.user_cache_dir("axonlab-runner")))
    once: bool = False
    """Take one job, or none if there is none, and end: how a cluster's scaler starts runners."""
    poll_s: float = 20.0
    """How long one question for work may stay open."""
    grace_s: float = 20.0
    """Between asking a kernel to stop and killing it."""

    @classmethod
    def from_environment(cls, *, service_url: str | None, token_file: Path | None, **given: object) -> Settings:
        """The settings from the command line, completed by `AXONLAB_SERVICE_URL` and `AXONLAB_RUNNER_TOKEN_FILE`.

        Raises
        ------
        BadInput
            If the service or the token is missing, or the token's file is readable by everybody.
        """
        url = service_url or os.environ.get("AXONLAB_SERVICE_URL")
        if not url:
            raise BadInput(
                "The runner does not know its service.", remedy="Give --service URL or set AXONLAB_SERVICE_URL."
            )
        file = token_file or (Path(name) if (name := os.environ.get("AXONLAB_RUNNER_TOKEN_FILE")) else None)
        if file is None:
            raise BadInput(
                "The runner has no token.",
                remedy="Give --token-file FILE or set AXONLAB_RUNNER_TOKEN_FILE; the hub's operator has the token.",
            )
        chosen = {name: value for name, value in given.items() if value is not None}
        return cls.model_validate({"service_url": url, "token": _read_token(file), **chosen})


def _read_token(file: Path) -> str:
    try:
        if file.stat().st_mode & 0o004:
            raise BadInput(f"{file} can be read by every user of this machine.", remedy=f"Run chmod 600 {file}.")
        token = file.read_text().strip()
    except OSError as error:
        raise BadInput(f"The token file {file} cannot be read ({error.strerror}).", remedy="Check its path.") from error
    if not token:
        raise BadInput(f"The token file {file} is empty.", remedy="Put the runner's token into it.")
    return token
