"""`inference-service up`: starts the processes of one machine and keeps them running."""
