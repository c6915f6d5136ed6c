"""What must happen to a job in one step: scripts that Redis runs."""
