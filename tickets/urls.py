from __future__ import annotations

from django.urls import URLPattern, path

from tickets.views import queue, sign_in, welcome

app_name = "tickets"
urlpatterns: list[URLPattern] = [
    path("sign-in/", sign_in.sign_in, name="sign-in"),
    path("sign-out/", sign_in.sign_out, name="sign-out"),
    path("welcome/", welcome.page, name="welcome"),
    path("tickets/", queue.page, name="queue"),
    path("tickets/changes/", queue.changes, name="changes"),
]
websocket_urlpatterns: list[URLPattern] = []
