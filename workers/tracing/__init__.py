"""Traces: one for each request, through every process that works for it.

A span is recorded when its work has ended, from the times that are measured anyway: what decodes
tokens is not touched. The ids of spans follow from what they are about (`span.id_of`), so that a
process knows the span of another without having heard of it: a worker that goes on after a crash
names the attempt before, and the keeper records what a dead worker could not. The trace itself is
in the job's record (`Job.trace`), as everything that has to outlive a process.

What was weighed: opentelemetry-instrumentation-celery (read in 0.66) begins a trace of its own for
each message that the keeper sends again, and leaves the span of a message open where its sender
does not have the task, as the front end; opentelemetry-instrumentation-flask ends a stream's span
when its view returns, before the first token; of Redis' commands nobody wants one span each. So the
SDK and its exporters are used, and the spans are made here.
"""
