"""Time limits and retries of steps, with their reasons."""

from datetime import timedelta

from temporalio.common import RetryPolicy

# PostgreSQL gives up after 2 s on a lock and 5 s on a statement; both limits leave it the time to say so.
LOCAL_ATTEMPT = timedelta(seconds=7)
REGULAR_ATTEMPT = timedelta(seconds=10)

# One local attempt: without an answer the step goes on as a regular activity that people can see.
ONCE = RetryPolicy(maximum_attempts=1)

# In doubt is neither yes nor no: asked again until there is an answer, without a limit on attempts.
UNTIL_ANSWERED = RetryPolicy(
    initial_interval=timedelta(milliseconds=200),
    backoff_coefficient=2.0,
    maximum_interval=timedelta(seconds=5),
)

# A message is worth a week of patience, never the money's fate.
NOTIFICATION_BUDGET = timedelta(days=7)
NOTIFICATION_RETRY = RetryPolicy(
    initial_interval=timedelta(seconds=1), backoff_coefficient=2.0, maximum_interval=timedelta(minutes=10)
)

# A worker that dies in the middle of a local step is noticed after this time, and the task runs elsewhere.
TASK_TIMEOUT = timedelta(seconds=3)

# A worker that holds a workflow in its cache and died is given up after this time, and another one takes over.
STICKY_TIMEOUT = timedelta(seconds=1)

# What a worker that is asked to stop may still take for the steps it is running: a regular attempt and its answer.
GRACEFUL_SHUTDOWN = timedelta(seconds=12)

# A money step in doubt for so long needs a person's attention, unless the worker's settings say otherwise.
STUCK_AFTER = timedelta(seconds=60)

# A transfer in review reads its decisions again after this time: a nudge that was lost delays one by minutes. A long
# review reads more rarely, so its history stays short.
REVIEW_READ_INTERVAL = timedelta(minutes=10)
MOST_REVIEW_READS = 100

# An open dispute looks at its row so often without being told to; weeks of it stay a short history.
DISPUTE_ROUTINE_LOOK = timedelta(hours=3)

# A decided dispute looks at its reversal after these pauses, unless it hears of its end before.
DISPUTE_FIRST_LOOK = timedelta(seconds=5)
DISPUTE_LONGEST_LOOK = timedelta(minutes=10)

# One sweep over the transfers that are not final. The next sweep finds what this one does not reach.
SWEEP_ATTEMPT = timedelta(seconds=60)
SWEEP_BUDGET = timedelta(minutes=10)

# One of the transfers that a sweep found. It holds up others of the same sweep, and the next sweep finds it again.
SWEEP_ITEM_BUDGET = timedelta(seconds=30)
