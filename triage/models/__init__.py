from triage.models.artifact import Artifact, Reign
from triage.models.breaker import Breaker
from triage.models.budget import Budget, BudgetState, Spending
from triage.models.call import Call, CallStatus
from triage.models.heartbeat import Heartbeat
from triage.models.price import Cost, Price, Tokens
from triage.models.user import User

__all__ = [
    "Artifact",
    "Breaker",
    "Budget",
    "BudgetState",
    "Call",
    "CallStatus",
    "Cost",
    "Heartbeat",
    "Price",
    "Reign",
    "Spending",
    "Tokens",
    "User",
]
