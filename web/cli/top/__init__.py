"""`inference-service top`: the metrics of a service as a table that moves."""
