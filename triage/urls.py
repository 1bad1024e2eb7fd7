from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("tickets.entrance.urls")),
    path("", include("tickets.urls")),
    path("", include("analytics.urls")),
]

handler400 = "tickets.views.errors.bad_request"
handler403 = "tickets.views.errors.forbidden"
handler404 = "tickets.views.errors.not_found"
handler500 = "tickets.views.errors.server_error"
