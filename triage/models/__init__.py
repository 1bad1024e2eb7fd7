from triage.models.artifact import Artifact, Reign
from triage.models.attempt import Attempt
from triage.models.batch import BatchRequest, MessageBatch
from triage.models.breaker import Breaker
from triage.models.budget import Allowance, Budget, BudgetState, Spending
from triage.models.call import Call, CallStatus
from triage.models.heartbeat import Heartbeat
from triage.models.pause import Pause
from triage.models.price import Cost, Price, Tokens
from triage.models.server import ModelServer
from triage.models.user import User
from triage.models.window import Window

__all__ = [
    "Allowance",
    "Artifact",
    "Attempt",
    "BatchRequest",
    "Breaker",
    "Budget",
    "BudgetState",
    "Call",
    "CallStatus",
    "Cost",
    "Heartbeat",
    "MessageBatch",
    "ModelServer",
    "Pause",
    "Price",
    "Reign",
    "Spending",
    "Tokens",
    "User",
    "Window",
]
