"""The commands of `inference-service`, one module each."""
