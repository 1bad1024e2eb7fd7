from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db import models
from django.http import HttpRequest
from django.template.loader import render_to_string

from triage.learning.calibrate import lower_bound
from triage.learning.live import NoEarlierFit, roll_back
from triage.models import (
    Allowance,
    Artifact,
    Breaker,
    Budget,
    Call,
    MessageBatch,
    ModelServer,
    Pause,
    Price,
    Reign,
    Spending,
    User,
)

if TYPE_CHECKING:
    _CallAdmin = admin.ModelAdmin[Call]
    _PriceAdmin = admin.ModelAdmin[Price]
    _BudgetAdmin = admin.ModelAdmin[Budget]
    _SpendingAdmin = admin.ModelAdmin[Spending]
    _BreakerAdmin = admin.ModelAdmin[Breaker]
    _BatchAdmin = admin.ModelAdmin[MessageBatch]
    _ArtifactAdmin = admin.ModelAdmin[Artifact]
    _PauseAdmin = admin.ModelAdmin[Pause]
    _AllowanceAdmin = admin.ModelAdmin[Allowance]
    _ModelServerAdmin = admin.ModelAdmin[ModelServer]
    _Inline = admin.TabularInline[Reign, Artifact]
else:
    _Inline = admin.TabularInline
    _BatchAdmin = _PauseAdmin = _AllowanceAdmin = _ModelServerAdmin = admin.ModelAdmin
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


@admin.register(MessageBatch)
class MessageBatchAdmin(ReadOnly, _BatchAdmin):
    list_display = ("created_at", "owner", "model", "size", "state", "estimate", "sent_at", "collected_at", "error")
    list_filter = ("state",)


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
        share = "" if state.share is None else f", {state.share:.0%} of it"
        return f"${state.spent:.4f}{share}{unknown}"

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
        Breaker.record_recovery(chosen.values_list("pk", flat=True))


@admin.register(Pause)
class PauseAdmin(_PauseAdmin):
    """To add one is to pause; the action ends it."""

    list_display = ("began_at", "begun_by", "reason", "ended_at", "ended_by")
    fields = ("reason",)
    actions = ("resume",)

    def has_change_permission(self, request: HttpRequest, obj: Pause | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Pause | None = None) -> bool:
        return False

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("triage.change_pause")

    def save_model(self, request: HttpRequest, obj: Pause, form: Any, change: bool) -> None:
        in_force = Pause.begin(by=_label(request), reason=obj.reason)
        obj.pk, obj.began_at = in_force.pk, in_force.began_at

    @admin.action(description="Resume reading", permissions=["operate"])
    def resume(self, request: HttpRequest, chosen: models.QuerySet[Pause]) -> None:
        if not Pause.end(by=_label(request)):
            self.message_user(request, "Nothing is paused.", messages.WARNING)


def _label(request: HttpRequest) -> str:
    return request.user.label if isinstance(request.user, User) else "nobody"


@admin.register(Allowance)
class AllowanceAdmin(ReadOnly, _AllowanceAdmin):
    list_display = ("span", "used_up", "cap_set", "began_at")

    @admin.display(description="Calls begun in it")
    def used_up(self, allowance: Allowance) -> int:
        return Allowance.used(allowance.span)

    @admin.display(description="Cap")
    def cap_set(self, allowance: Allowance) -> str:
        cap = Allowance.cap(allowance.span)
        return "none" if cap is None else f"{cap:,}"


@admin.register(ModelServer)
class ModelServerAdmin(ReadOnly, _ModelServerAdmin):
    list_display = ("endpoint", "model", "structured", "shown", "learned_at")


class ReignInline(ReadOnly, _Inline):
    model = Reign
    fields = ("began_at", "ended_at", "by", "why", "rollback")
    readonly_fields = fields
    verbose_name_plural = "when it was in force"
    extra = 0


@admin.register(Artifact)
class ArtifactAdmin(ReadOnly, _ArtifactAdmin):
    list_display = ("version", "live", "created_at", "decided_texts", "accuracy", "verdict")
    fields = ("kind", "version", "live", "created_at", "measurements", "verdict", "reason", "comparison_table")
    inlines = (ReignInline,)
    actions = ("put_in_force", "roll_back")

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Artifact]:
        return super().get_queryset(request).defer("payload")  # a megabyte each

    @admin.display(description="Decided texts")
    def decided_texts(self, artifact: Artifact) -> int:
        return int(artifact.metrics.get("decided_texts", 0))

    @admin.display(description="Category, out of fold")
    def accuracy(self, artifact: Artifact) -> str:
        figures = artifact.metrics.get("fields", {}).get("category", {})
        return f"{figures['accuracy']:.1%}" if "accuracy" in figures else ""

    @admin.display(description="Against the fit before")
    def verdict(self, artifact: Artifact) -> str:
        return artifact.verdict.capitalize()

    @admin.display(description="Why")
    def reason(self, artifact: Artifact) -> str:
        return str(artifact.comparison.get("reason", ""))

    @admin.display(description="Out of fold, and by the audit sample")
    def measurements(self, artifact: Artifact) -> str:
        return render_to_string("admin/artifact_fields.html", {"fields": fit_fields(artifact)})

    @admin.display(description="On held-out decisions")
    def comparison_table(self, artifact: Artifact) -> str:
        return render_to_string("admin/artifact_comparison.html", {"comparison": artifact.comparison})

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("triage.change_artifact")

    @admin.action(description="Put in force", permissions=["operate"])
    def put_in_force(self, request: HttpRequest, chosen: models.QuerySet[Artifact]) -> None:
        person = request.user if isinstance(request.user, User) else None
        if chosen.count() != 1:
            self.message_user(request, "Choose one fit.", messages.ERROR)
            return
        chosen.get().put_in_force(why="Put in force by hand.", by=person)

    @admin.action(description="Roll back to the fit before the one in force", permissions=["operate"])
    def roll_back(self, request: HttpRequest, chosen: models.QuerySet[Artifact]) -> None:
        person = request.user if isinstance(request.user, User) else None
        try:
            artifact = roll_back(by=person, why="Rolled back by hand.")
        except NoEarlierFit as problem:
            self.message_user(request, str(problem), messages.ERROR)
            return
        self.message_user(request, f"{artifact.version} is in force again.")


def fit_fields(artifact: Artifact) -> list[dict[str, Any]]:
    """A row a field: what the fit measured out of fold, and what people said of its applied values drawn by lot."""
    rows = []
    for name, figures in artifact.metrics.get("fields", {}).items():
        audit = artifact.audit.get(name, {})
        right, seen = audit.get("right", 0), audit.get("seen", 0)
        rows.append(
            {
                "name": name,
                **figures,
                "seen": seen,
                "right": right,
                "at_least": lower_bound(right, seen),
                "stopped": name in artifact.stopped_fields,
            }
        )
    return rows
