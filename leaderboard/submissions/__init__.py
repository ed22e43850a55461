"""Submissions: packed by whoever made the runs, verified by anybody, and never imported or executed."""
