"""What runs a job: the worker processes and what they share with the front end."""
