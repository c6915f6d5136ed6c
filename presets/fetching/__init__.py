"""How models come here: from a hub, or from a file of the user."""
