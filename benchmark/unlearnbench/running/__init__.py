"""From words to runs, and from runs to records."""
