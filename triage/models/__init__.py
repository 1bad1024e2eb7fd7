from triage.models.heartbeat import Heartbeat
from triage.models.user import User

__all__ = ["Heartbeat", "User"]
