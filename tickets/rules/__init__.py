"""What a rule says, and whether it holds of a ticket. Nothing here writes."""
