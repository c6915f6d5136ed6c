"""Requests that are being answered: the job's events as they come, and clients that leave."""
