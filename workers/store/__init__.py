"""What is kept in Redis about jobs: records, leases, token logs, and how to reach it."""
