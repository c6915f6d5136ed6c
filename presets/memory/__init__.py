"""A machine's memory, and what models take of it."""
