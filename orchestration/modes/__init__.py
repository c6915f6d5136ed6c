"""The modes, one module each, and what they share. Pure: none knows Redis or Celery."""
