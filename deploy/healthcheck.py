"""Health checks that run inside the image, which holds no curl. Exit code 0: healthy; 1: not, with the reason.

`api`: the process answers. `ready`: it reaches PostgreSQL and Temporal too. `worker`: the worker of this container
asks Temporal for work, which the state of its process does not show.
"""

import asyncio
import os
import socket
import sys
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta

ANSWER_SECONDS = 4
# A worker asks again at least once a minute.
ASKED_WITHIN = timedelta(seconds=90)
PATHS = {"api": "/health", "ready": "/ready"}


def api_problem(path: str) -> str | None:
    """What is wrong with the API of this container, by its own answer; None if it is healthy."""
    url = f"http://127.0.0.1:{os.environ.get('REMIT_API_PORT', '8000')}{path}"
    try:
        with urllib.request.urlopen(url, timeout=ANSWER_SECONDS):
            return None
    except urllib.error.HTTPError as error:
        return f"{path} answers {error.code}"
    except OSError as error:
        return f"{path} does not answer: {error}"


async def worker_problem() -> str | None:
    """What is wrong with the worker of this container, by its last poll of Temporal; None if it is healthy."""
    # These imports take half a second and 100 MB, which the API's check does not need.
    from temporalio.api.enums.v1 import TaskQueueType  # noqa: PLC0415
    from temporalio.api.taskqueue.v1 import TaskQueue  # noqa: PLC0415
    from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest  # noqa: PLC0415
    from temporalio.service import RPCError  # noqa: PLC0415

    from settings import Settings  # noqa: PLC0415
    from temporal_client import connect_temporal  # noqa: PLC0415

    settings = Settings()
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            client = await connect_temporal(settings)
            queue = await client.workflow_service.describe_task_queue(
                DescribeTaskQueueRequest(
                    namespace=settings.temporal_namespace,
                    task_queue=TaskQueue(name=settings.task_queue),
                    task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
                )
            )
    except (RuntimeError, RPCError, TimeoutError) as error:
        return f"Temporal does not answer: {error}"
    # The SDK calls a worker `pid@host`, and the host of a container is its own.
    here = f"@{socket.gethostname()}"
    asked = [poller.last_access_time.ToDatetime(UTC) for poller in queue.pollers if poller.identity.endswith(here)]
    if not asked:
        return f"no worker of {here} asks for work"
    if (silent := datetime.now(UTC) - max(asked)) > ASKED_WITHIN:
        return f"the worker of {here} has not asked for work for {silent.total_seconds():.0f} s"
    return None


def main() -> None:
    """`healthcheck.py api|ready|worker`."""
    what = sys.argv[1]
    problem = asyncio.run(worker_problem()) if what == "worker" else api_problem(PATHS[what])
    if problem:
        print(problem, file=sys.stderr, flush=True)  # noqa: T201
    # A normal exit may abort: threads of Temporal's client still use the interpreter while it ends.
    os._exit(1 if problem else 0)


if __name__ == "__main__":
    main()
