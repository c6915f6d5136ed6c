"""Every Celery setting, each with its reason. What follows from the address of Redis is set by
`workers.app`.
"""

from __future__ import annotations

#: JSON only: a pickled message would let whoever reaches Redis run code here.
accept_content = ["json"]
task_serializer = "json"
result_serializer = "json"

#: A message is acknowledged when its step has ended. With prefetch 1 a worker then takes the most
#: urgent message at the moment it is free, not one it fetched while it was busy.
task_acks_late = True
worker_prefetch_multiplier = 1

#: Engines decode outside the interpreter's lock, and share one loaded model between threads.
worker_pool = "threads"

#: Outcomes are kept in the job's record, where readers look; nobody asks Celery for a result.
task_ignore_result = True
task_store_errors_even_if_ignored = False
#: A chord's members are counted in Redis. Who cannot reach it says so at once; the job's record
#: counts too, and the keeper sends what was not.
#: What a chord that was cancelled leaves goes with what its rounds handed on.
result_expires = 3600
result_backend_transport_options = {
    "retry_policy": {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}
}

#: kombu takes a message without priority for the most urgent.
task_default_priority = 4
task_inherit_parent_priority = True
task_queue_max_priority = None

#: A message nobody can route is a mistake of ours; it must not make a queue nobody consumes.
task_create_missing_queues = True
task_default_queue = "orchestration"

#: A front end that cannot reach Redis says so at once; its caller retries, not kombu.
task_publish_retry = False
broker_connection_timeout = 2.0

#: A worker outlives any absence of Redis.
broker_connection_retry = True
broker_connection_retry_on_startup = True
broker_connection_max_retries = None
#: The threads go on when the connection drops: their leases decide, not the connection.
worker_cancel_long_running_tasks_on_connection_loss = False

#: One list per step. kombu polls them in this order: 0 next steps of started jobs, 2 high,
#: 4 normal, 6 low, 8 bulk; those between are for aging and for what exceeds a key's share.
PRIORITY_STEPS = list(range(10))

broker_transport_options = {
    "priority_steps": PRIORITY_STEPS,
    "queue_order_strategy": "priority",
    #: Recovery has one path, the keeper's: kombu neither notes nor restores what is in hand.
    "ack_emulation": False,
    "socket_connect_timeout": 2.0,
    "socket_keepalive": True,
    "health_check_interval": 10,
    "fanout_prefix": True,
    "fanout_patterns": True,
}

#: Logging is ours (`workers.logs`).
worker_hijack_root_logger = False
worker_redirect_stdouts = False

#: Flower switches events on while somebody looks; nobody pays for them otherwise.
worker_send_task_events = False
task_send_sent_event = False
task_track_started = False

timezone = "UTC"
enable_utc = True
