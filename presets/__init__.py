"""Which models there are. Knows neither Flask nor Celery."""
