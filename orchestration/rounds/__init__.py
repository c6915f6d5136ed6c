"""What happens between rounds: what is decided, stored, sent and reported."""
