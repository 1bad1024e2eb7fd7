from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db import models
from django.http import HttpRequest

from triage.models import Artifact, Breaker, Budget, Call, Price, Spending, User

if TYPE_CHECKING:
    _CallAdmin = admin.ModelAdmin[Call]
    _PriceAdmin = admin.ModelAdmin[Price]
    _BudgetAdmin = admin.ModelAdmin[Budget]
    _SpendingAdmin = admin.ModelAdmin[Spending]
    _BreakerAdmin = admin.ModelAdmin[Breaker]
    _ArtifactAdmin = admin.ModelAdmin[Artifact]
else:
    _ArtifactAdmin = _CallAdmin = _PriceAdmin = _BudgetAdmin = _SpendingAdmin = _BreakerAdmin = admin.ModelAdmin


class ReadOnly:
    """What the desk itself writes: to be read here, never changed."""

    def has_add_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False


@admin.register(Call)
class CallAdmin(ReadOnly, _CallAdmin):
    list_display = ("created_at", "operation", "status", "model_asked", "latency_ms", "cost", "retries", "error_code")
    list_filter = ("status", "operation", "provider")
    search_fields = ("=subject_id", "=correlation_id", "=request_id")
    ordering = ("-created_at", "-id")
    show_full_result_count = False  # counting a million rows takes longer than showing the page


@admin.register(Price)
class PriceAdmin(_PriceAdmin):
    list_display = ("model", "valid_from", "input", "cache_read", "cache_write_5m", "cache_write_1h", "output")
    list_filter = ("model",)
    fieldsets = (
        (None, {"fields": ("model", "valid_from")}),
        (
            "US dollars a million tokens",
            {"fields": ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output")},
        ),
        (
            "Long prompts",
            {
                "fields": (
                    "long_prompt_over",
                    "long_input",
                    "long_cache_read",
                    "long_cache_write_5m",
                    "long_cache_write_1h",
                    "long_output",
                )
            },
        ),
        ("Factors", {"fields": ("batch_factor", "us_factor")}),
    )


@admin.register(Budget)
class BudgetAdmin(_BudgetAdmin):
    list_display = ("__str__", "spent_this_month")

    @admin.display(description="Spent this month")
    def spent_this_month(self, budget: Budget) -> str:
        state = Budget.state()
        unknown = f", and {state.unknown} calls of unknown cost" if state.unknown else ""
        return f"${state.spent:.4f}{unknown}"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return not Budget.objects.exists() and super().has_add_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Spending)
class SpendingAdmin(ReadOnly, _SpendingAdmin):
    list_display = ("__str__", "cost", "calls", "unknown")


@admin.register(Breaker)
class BreakerAdmin(ReadOnly, _BreakerAdmin):
    list_display = ("provider", "state", "opened_at", "reason")
    actions = ("close",)

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("triage.change_breaker")

    @admin.action(description="Close now", permissions=["operate"])
    def close(self, request: HttpRequest, chosen: models.QuerySet[Breaker]) -> None:
        for breaker in chosen:
            Breaker.record_recovery(breaker.pk)


@admin.register(Artifact)
class ArtifactAdmin(ReadOnly, _ArtifactAdmin):
    list_display = ("version", "kind", "live", "created_at", "decided_texts", "accuracy")
    fields = ("kind", "version", "live", "created_at", "metrics")
    actions = ("put_in_force",)

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Artifact]:
        return super().get_queryset(request).defer("payload")  # a megabyte each

    @admin.display(description="Decided texts")
    def decided_texts(self, artifact: Artifact) -> int:
        return int(artifact.metrics.get("decided_texts", 0))

    @admin.display(description="Category, out of fold")
    def accuracy(self, artifact: Artifact) -> str:
        figures = artifact.metrics.get("fields", {}).get("category", {})
        return f"{figures['accuracy']:.1%}" if "accuracy" in figures else ""

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("triage.change_artifact")

    @admin.action(description="Put in force", permissions=["operate"])
    def put_in_force(self, request: HttpRequest, chosen: models.QuerySet[Artifact]) -> None:
        person = request.user if isinstance(request.user, User) else None
        if chosen.count() != 1:
            self.message_user(request, "Choose one fit.", messages.ERROR)
            return
        chosen.get().put_in_force(why="Put in force by hand.", by=person)
