from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path

from tickets.consumers import DeskConsumer
from tickets.views import (
    comments,
    deletion,
    notifications,
    pause,
    queue,
    replays,
    reply,
    review,
    settings,
    sign_in,
    snooze,
    steps,
    ticket,
    welcome,
)

app_name = "tickets"
urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("tickets.channels.urls")),
    path("sign-in/", sign_in.sign_in, name="sign-in"),
    path("sign-out/", sign_in.sign_out, name="sign-out"),
    path("welcome/", welcome.page, name="welcome"),
    path("welcome/dismissal/", welcome.dismissal, name="dismissal"),
    path("settings/", settings.you, name="settings"),
    path("settings/notifications/", notifications.choices, name="notification-choices"),
    path("notifications/", notifications.page, name="notifications"),
    path("notifications/bell/", notifications.bell, name="bell"),
    path("notifications/seen/", notifications.seen, name="notifications-seen"),
    path("notifications/<int:pk>/seen/", notifications.seen, name="notification-seen"),
    path("pause/end/", pause.end, name="pause-end"),
    path("replays/", replays.page, name="replays"),
    path("replays/new/", replays.new, name="new-replay"),
    path("replays/<int:pk>/", replays.one, name="replay"),
    path("replays/<int:pk>/cancellation/", replays.cancellation, name="replay-cancellation"),
    path("replays/<int:pk>/switch/", replays.switch, name="replay-switch"),
    path("tickets/", queue.page, name="queue"),
    path("tickets/changes/", queue.changes, name="changes"),
    path("tickets/readings/", queue.readings, name="readings"),
    path("tickets/<int:number>/", ticket.page, name="detail"),
    path("tickets/<int:number>/pieces/", ticket.pieces, name="pieces"),
    path("tickets/<int:number>/review/", review.decide, name="review"),
    path("tickets/<int:number>/rejection/", review.rejection, name="rejection"),
    path("tickets/<int:number>/deletion/", deletion.deletion, name="deletion"),
    path("tickets/<int:number>/reversal/", review.reversal, name="reversal"),
    path("tickets/<int:number>/draft/", reply.draft, name="draft"),
    path("tickets/<int:number>/draft/changes/", reply.changes, name="draft-changes"),
    path("tickets/<int:number>/approval/", reply.approval, name="approval"),
    path("tickets/<int:number>/deliveries/<int:pk>/", reply.delivery, name="delivery"),
    path("tickets/<int:number>/escalation/", steps.escalation, name="escalation"),
    path("tickets/<int:number>/comments/", comments.comments, name="comments"),
    path("tickets/<int:number>/comments/<int:pk>/", comments.comment, name="comment"),
    path("tickets/<int:number>/colleagues/", comments.colleagues, name="colleagues"),
    path("tickets/<int:number>/snooze/", snooze.snooze, name="snooze"),
    path("tickets/<int:number>/status/", steps.change_status, name="status"),
    path("tickets/<int:number>/reading/", steps.reading, name="reading"),
    path("tickets/<int:number>/assignment/", steps.assignee, name="assignment"),
]
websocket_urlpatterns: list[URLPattern] = [path("ws/desk/", DeskConsumer.as_asgi())]
