from triage.models.artifact import Artifact
from triage.models.attempt import Attempt
from triage.models.breaker import Breaker
from triage.models.budget import Budget, BudgetState, Spending
from triage.models.call import Call, CallStatus
from triage.models.heartbeat import Heartbeat
from triage.models.price import Cost, Price, Tokens
from triage.models.user import User

__all__ = [
    "Artifact",
    "Attempt",
    "Breaker",
    "Budget",
    "BudgetState",
    "Call",
    "CallStatus",
    "Cost",
    "Heartbeat",
    "Price",
    "Spending",
    "Tokens",
    "User",
]
