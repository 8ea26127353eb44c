"""The service as an ASGI application."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

from fastapi import APIRouter, FastAPI
from starlette.concurrency import run_in_threadpool

from axonlab_core import __version__
from axonlab_core.backends.storage import open_storage
from axonlab_core.contract.base import utc_now
from axonlab_core.contract.errors import AxonlabError
from axonlab_hub import course_routes, link_routes, routes, run_routes, runner_routes
from axonlab_hub.artifacts import Artifacts
from axonlab_hub.auth import HubIdentities, Identities
from axonlab_hub.faults import add_fault_answers
from axonlab_hub.guards import BodyDeadline, BodyLimit, Headers
from axonlab_hub.jobs import Jobs
from axonlab_hub.pages.site import add_pages
from axonlab_hub.parts import Parts
from axonlab_hub.publishing import Publishing
from axonlab_hub.rates import Rates
from axonlab_hub.runs import Runs
from axonlab_hub.secrets_folder import kept_secret
from axonlab_hub.settings import Settings
from axonlab_hub.store import Store
from axonlab_hub.waiting import Notifier

logger = logging.getLogger(__name__)


def create_app(
    settings: Settings, *, identities: Identities | None = None, clock: Callable[[], datetime] = utc_now
) -> FastAPI:
    """The service; `identities` says whose a token is, the hub if not given."""
    secret = kept_secret(settings.link_secret_file)
    store = Store(settings.database)
    storage = open_storage(settings.storage, secret=secret.encode())
    notifier = Notifier(recheck_s=settings.recheck_s)
    jobs = Jobs(store, storage, settings, ring=notifier.ring, clock=clock)
    parts = Parts(
        settings=settings,
        store=store,
        storage=storage,
        notifier=notifier,
        jobs=jobs,
        runs=Runs(store, storage, settings, jobs, ring=notifier.ring, clock=clock),
        artifacts=Artifacts(store, storage, settings),
        publishing=Publishing(store, storage, settings, clock=clock),
        clock=clock,
    )
    api = settings.service_prefix.rstrip("/") + "/api/v1"
    # The documentation pages would load scripts from elsewhere; what they show is open to everybody.
    app = FastAPI(
        title="Axonlab",
        version=__version__,
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=f"{api}/openapi.json",
        generate_unique_id_function=lambda route: f"{route.tags[0]}-{route.name}",
    )
    app.state.parts = parts
    app.state.rates = Rates(settings.requests_per_s, burst=settings.request_burst)
    app.state.identities = identities or HubIdentities(
        settings.hub_api_url,
        cache_s=settings.identity_cache_s,
        unknown_cache_s=settings.unknown_token_cache_s,
        unknown_per_s=settings.unknown_tokens_per_s,
    )
    for router in (
        _open_router(),
        routes.router,
        course_routes.router,
        runner_routes.router,
        run_routes.router,
        link_routes.router,
    ):
        app.include_router(router, prefix=api)
    add_fault_answers(app)
    add_pages(app, settings, secret=secret, api=api)
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes, spare=f"{api}/storage")
    app.add_middleware(BodyDeadline, timeout_s=settings.body_timeout_s, by_piece=f"{api}/storage")
    app.add_middleware(Headers)
    return app


def _open_router() -> APIRouter:
    router = APIRouter(tags=["open"])

    @router.get("/health")
    async def health() -> dict[str, str]:
        """That the service is up, and which one it is."""
        return {"status": "ok", "version": __version__}

    return router


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    parts: Parts = app.state.parts
    await run_in_threadpool(parts.store.upgrade)
    parts.notifier.start()
    sweeping = asyncio.create_task(_sweep(parts))
    sweeping.add_done_callback(_end_if_broken)
    try:
        yield
    finally:
        parts.notifier.stop()
        sweeping.cancel()
        await asyncio.gather(sweeping, return_exceptions=True)
        await app.state.identities.close()
        await run_in_threadpool(parts.store.close)


def _end_if_broken(sweeping: asyncio.Task[None]) -> None:
    """A service that no longer sweeps would never notice a lost run: better to be started again."""
    if not sweeping.cancelled() and (error := sweeping.exception()) is not None:
        logger.critical("the sweep has ended; the service ends with it", exc_info=error)
        os.kill(os.getpid(), signal.SIGTERM)


async def _sweep(parts: Parts) -> None:
    # While the service was away nobody could renew a lease: whoever is alive gets the time to do so now.
    await asyncio.sleep(parts.settings.lease_s)
    while True:
        try:
            await run_in_threadpool(parts.jobs.sweep)
        except (AxonlabError, OSError):
            logger.exception("the sweep was cut short; it comes again")
        await asyncio.sleep(parts.settings.lease_s / 3)
