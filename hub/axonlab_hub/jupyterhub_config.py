"""All of it is in axonlab_hub.configure, so that charts and tests use the same."""

from axonlab_hub.configure import configure
from axonlab_hub.settings import Settings

configure(get_config(), Settings.from_environment())  # noqa: F821  # pyright: ignore[reportUndefinedVariable] (JupyterHub gives it)
