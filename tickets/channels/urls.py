"""The addresses of the doors, within the namespace of the desk."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path, re_path

from tickets.channels.api import attachments  # noqa: F401  adds its addresses to the API
from tickets.channels.api.endpoints import api
from tickets.channels.email import webhooks
from tickets.channels.github.endpoint import webhook as github_webhook
from tickets.views import health, portal

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("api/v1/", api.urls),
    path("webhooks/github", github_webhook, name="github-webhook"),
    re_path(
        r"^webhooks/email/(?P<sender>[a-z-]{1,30})/(?P<what>inbound|tracking)/?$", webhooks.receive, name="mail-webhook"
    ),
    re_path(
        r"^webhooks/email/(?P<sender>[a-z-]{1,30})/?$", webhooks.receive, {"what": "inbound"}, name="mail-webhook-in"
    ),
    re_path(  # as it was called before
        r"^webhooks/mail/(?P<sender>[a-z-]{1,30})/(?P<what>inbound|tracking)/?$",
        webhooks.receive,
        name="mail-webhook-before",
    ),
    path("support/", portal.form, name="portal"),
    path("support/known/", portal.known, name="portal-known"),
    path("support/thanks/<str:signed>/", portal.thanks, name="portal-thanks"),
    path("support/t/<str:signed>/", portal.status, name="portal-status"),
    path("support/t/<str:signed>/files/<int:pk>/", portal.file, name="portal-file"),
]
