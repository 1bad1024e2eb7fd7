from analytics.models.summary import Summary

__all__ = ["Summary"]
