from __future__ import annotations

from django.urls import URLPattern

app_name = "tickets"
urlpatterns: list[URLPattern] = []
websocket_urlpatterns: list[URLPattern] = []
