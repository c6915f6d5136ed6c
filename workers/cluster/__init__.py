"""Which processes there are, what each says of itself, and what the keeper has ordered."""
