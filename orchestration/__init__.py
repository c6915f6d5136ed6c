"""How models answer one request: submit, routing, one file per mode."""
