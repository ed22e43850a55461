"""What a run leaves behind: its identity, its numbers and where they come from. No torch."""
