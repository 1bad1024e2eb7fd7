from triage.models.artifact import Artifact
from triage.models.batch import BatchRequest, MessageBatch
from triage.models.breaker import Breaker
from triage.models.budget import Budget, BudgetState, Spending
from triage.models.call import Call, CallStatus
from triage.models.heartbeat import Heartbeat
from triage.models.price import Cost, Price, Tokens
from triage.models.user import User

__all__ = [
    "Artifact",
    "BatchRequest",
    "Breaker",
    "Budget",
    "BudgetState",
    "Call",
    "CallStatus",
    "Cost",
    "Heartbeat",
    "MessageBatch",
    "Price",
    "Spending",
    "Tokens",
    "User",
]
