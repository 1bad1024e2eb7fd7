from tickets.models.api_key import SCOPES, ApiKey
from tickets.models.attachment import Attachment, LeftFile
from tickets.models.audit import Audit
from tickets.models.bulk import BulkRun, BulkTicket
from tickets.models.calendar import Calendar, Holiday
from tickets.models.choices import (
    ENDED,
    OPEN,
    Effort,
    Lane,
    Priority,
    ReadWith,
    Sentiment,
    Severity,
    Status,
    Tier,
    TriageState,
    priority_of,
)
from tickets.models.comment_version import CommentVersion
from tickets.models.delivery import Delivery, DeliveryAttempt
from tickets.models.draft import Draft
from tickets.models.event import Event
from tickets.models.example import Example
from tickets.models.excerpt import excerpt_of
from tickets.models.fit_run import FitRun
from tickets.models.github import GithubAccount, GithubInstallation, GithubRepository
from tickets.models.github_event import GithubEvent
from tickets.models.github_issue import GithubComment, GithubIssue, GithubWriting
from tickets.models.github_sync import GithubSync
from tickets.models.habits import Habits
from tickets.models.import_run import ImportRefusal, ImportRun
from tickets.models.invitation import Invitation
from tickets.models.join_event import JoinEvent
from tickets.models.link import Link
from tickets.models.macro import Macro
from tickets.models.mail import Acknowledgement, Mail, Mailbox
from tickets.models.merge import Merge
from tickets.models.message import Message
from tickets.models.notification import Mailing, Notification, NotificationChoice
from tickets.models.order import NEWEST, ORDERS, Order, Place
from tickets.models.person import Agent, Requester, administers, leads, oversees
from tickets.models.recount import Recount
from tickets.models.replay import COMPARED, Comparison, Replay, ReplayTicket
from tickets.models.review import Review
from tickets.models.rule import Rule, RuleCause, RuleFiring, RuleVersion
from tickets.models.search import SearchText
from tickets.models.security_event import SecurityEvent, SignInPolicy
from tickets.models.sla import SlaEvent, SlaPolicy
from tickets.models.source import Source
from tickets.models.spam import Block, SpamMark
from tickets.models.split import Split
from tickets.models.suggestion import Suggestion
from tickets.models.taxonomy import Category, Component
from tickets.models.team import Team
from tickets.models.ticket import PORTAL_SALT, SUBJECT_LIMIT, SUBMISSION, TEXT_LIMIT, Ticket
from tickets.models.vector import TicketVector
from tickets.models.view import View
from tickets.models.webhook import BudgetStep, HookEvent, Webhook, WebhookAttempt, WebhookCall

__all__ = [
    "COMPARED",
    "ENDED",
    "NEWEST",
    "OPEN",
    "ORDERS",
    "PORTAL_SALT",
    "SCOPES",
    "SUBJECT_LIMIT",
    "SUBMISSION",
    "TEXT_LIMIT",
    "Acknowledgement",
    "Agent",
    "ApiKey",
    "Attachment",
    "Audit",
    "Block",
    "BudgetStep",
    "BulkRun",
    "BulkTicket",
    "Calendar",
    "Category",
    "CommentVersion",
    "Comparison",
    "Component",
    "Delivery",
    "DeliveryAttempt",
    "Draft",
    "Effort",
    "Event",
    "Example",
    "FitRun",
    "GithubAccount",
    "GithubComment",
    "GithubEvent",
    "GithubInstallation",
    "GithubIssue",
    "GithubRepository",
    "GithubSync",
    "GithubWriting",
    "Habits",
    "Holiday",
    "HookEvent",
    "ImportRefusal",
    "ImportRun",
    "Invitation",
    "JoinEvent",
    "Lane",
    "LeftFile",
    "Link",
    "Macro",
    "Mail",
    "Mailbox",
    "Mailing",
    "Merge",
    "Message",
    "Notification",
    "NotificationChoice",
    "Order",
    "Place",
    "Priority",
    "ReadWith",
    "Recount",
    "Replay",
    "ReplayTicket",
    "Requester",
    "Review",
    "Rule",
    "RuleCause",
    "RuleFiring",
    "RuleVersion",
    "SearchText",
    "SecurityEvent",
    "Sentiment",
    "Severity",
    "SignInPolicy",
    "SlaEvent",
    "SlaPolicy",
    "Source",
    "SpamMark",
    "Split",
    "Status",
    "Suggestion",
    "Team",
    "Ticket",
    "TicketVector",
    "Tier",
    "TriageState",
    "View",
    "Webhook",
    "WebhookAttempt",
    "WebhookCall",
    "administers",
    "excerpt_of",
    "leads",
    "oversees",
    "priority_of",
]
