from __future__ import annotations

from django.urls import URLPattern, path

from analytics.views import call, calls, dashboard, metrics, summary

app_name = "analytics"
urlpatterns: list[URLPattern] = [
    path("", dashboard.page, name="dashboard"),
    path("calls/", calls.page, name="calls"),
    path("calls/<int:pk>/", call.page, name="call"),
    path("metrics", metrics.metrics, name="metrics"),
    path("summary/", summary.page, name="summary"),
    path("summary/<int:pk>/", summary.earlier, name="earlier-summary"),
]
