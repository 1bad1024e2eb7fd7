"""HTTP and WebSocket in one ASGI application."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "triage.settings")
django.setup(set_prefix=False)

from channels.auth import AuthMiddlewareStack  # noqa: E402  Django must be set up first
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from channels.security.websocket import OriginValidator  # noqa: E402
from django.conf import settings  # noqa: E402

from tickets.mcp.door import beside  # noqa: E402
from tickets.urls import websocket_urlpatterns  # noqa: E402
from triage.gate import Gate  # noqa: E402
from triage.handler import ThreadHandler  # noqa: E402

application = ProtocolTypeRouter(
    {
        "http": beside(Gate(ThreadHandler())),
        "websocket": OriginValidator(
            AuthMiddlewareStack(URLRouter(websocket_urlpatterns)),
            [*settings.CSRF_TRUSTED_ORIGINS, *settings.ALLOWED_HOSTS],
        ),
    }
)
